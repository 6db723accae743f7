import type { Chapter } from "./step.ts";

export const deletion: Chapter = {
  title: "what an agent takes along",
  steps: [
    {
      ask: "POST /microservices",
      body: {
        ...{ name: "last", agentName: "<run>-other", application: "<run>-demo" },
        images: [{ fogTypeId: 1, containerImage: "x" }],
      },
      status: 201,
      keep: { last: "uuid" },
    },
    { ask: "DELETE /iofog/<other>", status: 202 },
    { ask: "GET /microservices/<last>", status: 404 },
    { ask: "GET /application/<run>-demo", status: 200 },
    { ask: "DELETE /application/<run>-demo", status: 204 },
    { ask: "GET /microservices/<m3>", status: 404 },
  ],
};
