/** What the API server says against a child, told in terms of the spec. */
