import { absent, anything, type Chapter, failure, has, inAnyOrder, invalid, notFound } from "./step.ts";

const noColumn = failure("SequelizeDatabaseError", "SQLITE_ERROR: no such column: endpoints.request_type");
const endpoints = (...names: readonly string[]) => ({
  endpoints: names.map((name) => ({ name, method: "GET", url: `/${name}` })),
});
const camera = { interfaceProtocol: "https", interface: endpoints("open", "status") };
const at = "/edgeResource/<run>-cam/v1.0.0";

export const edgeResources: Chapter = {
  title: "edge resources",
  steps: [
    { ask: "HEAD /capabilities/edgeResources", status: 204 },
    { ask: "POST /edgeResource", body: {}, status: 400, answer: invalid("Required field 'name' is missing") },
    {
      ask: "POST /edgeResource",
      body: { name: "<run>-cam" },
      status: 400,
      answer: invalid("Required field 'version' is missing"),
    },
    {
      ask: "POST /edgeResource",
      body: { name: "<run>-cam", version: "1.10.0", ...camera },
      status: 400,
      answer: invalid(/does not match allOf schema <\/edgeResource> with 1 error/),
    },
    {
      ask: "POST /edgeResource",
      body: { name: "<run>-cam", version: "1.0", ...camera },
      status: 400,
      answer: invalid(/does not match allOf schema <\/edgeResource> with 1 error/),
    },
    {
      ask: "POST /edgeResource",
      body: { name: "<run>-cam", version: "1.0.0-rc.1", ...camera },
      status: 200,
      answer: { version: "1.0.0-rc.1" },
    },
    { ask: "DELETE /edgeResource/<run>-cam/1.0.0-rc.1", status: 202 },
    {
      ask: "POST /edgeResource",
      body: { name: "<run>-cam", version: "v1.0.0" },
      status: 500,
      answer: failure("TypeError", "Cannot read properties of undefined (reading 'id')"),
    },
    {
      ask: "POST /edgeResource",
      body: { name: "<run>-cam", version: "v1.0.0", interfaceProtocol: "https" },
      status: 500,
      answer: failure("TypeError", /^Cannot destructure property 'endpoints'/),
    },
    {
      ask: "POST /edgeResource",
      body: {
        ...{ name: "<run>-cam", version: "v1.0.0", description: "front door", ...camera },
        ...{ display: { name: "Cam", icon: "camera", color: "#aabbcc" }, custom: { a: { b: [1, 2] } } },
        orchestrationTags: ["<run>-s", "<run>-t"],
      },
      status: 200,
      answer: { name: "<run>-cam", version: "v1.0.0", orchestrationTags: [], custom: { a: { b: [1, 2] } } },
    },
    {
      ask: "POST /edgeResource",
      body: { name: "<run>-cam", version: "v1.0.0", ...camera },
      status: 400,
      answer: invalid("Resource <run>-cam version v1.0.0 already exists"),
    },
    {
      ask: "GET /edgeResources",
      status: 200,
      answer: {
        edgeResources: has({
          ...{ name: "<run>-cam", description: "front door", interfaceProtocol: "https", interface: absent },
          ...{
            display: { name: "Cam", color: "#aabbcc" },
            orchestrationTags: inAnyOrder("<run>-s", "<run>-t"),
          },
        }),
      },
    },
    {
      only: "3.0",
      ask: `GET ${at}`,
      status: 200,
      answer: {
        interface: {
          endpoints: [
            { name: "open", method: "GET", url: "/open", description: null, requestType: null },
            { name: "status" },
          ],
        },
      },
    },
    { only: "3.7", ask: `GET ${at}`, status: 500, answer: noColumn },
    {
      only: "3.0",
      ask: "GET /edgeResource/<run>-cam",
      status: 200,
      answer: { edgeResources: [{ version: "v1.0.0", interface: anything }] },
    },
    { only: "3.7", ask: "GET /edgeResource/<run>-cam", status: 500, answer: noColumn },
    { ask: "GET /edgeResource/<run>-nope", status: 200, answer: { edgeResources: [] } },
    {
      ask: "GET /edgeResource/<run>-cam/9.9.9",
      status: 404,
      answer: notFound("Could not find resource <run>-cam version 9.9.9"),
    },
    {
      only: "3.7",
      ask: "PUT /edgeResource/<run>-typed/1.0.0",
      body: {
        interfaceProtocol: "http",
        interface: { endpoints: [{ name: "a", method: "GET", url: "/", requestType: "t" }] },
      },
      status: 500,
      answer: failure("SequelizeDatabaseError", /has no column named request_type/),
    },
    { ask: `PUT ${at}`, body: { description: "changed" }, status: 200 },
    {
      ask: `PUT ${at}`,
      body: { ...camera, interface: endpoints("only"), orchestrationTags: ["<run>-t"], custom: {} },
      status: 200,
    },
    {
      only: "3.0",
      ask: `GET ${at}`,
      status: 200,
      answer: { description: "changed", interface: { endpoints: [{ name: "only" }] }, custom: {} },
    },
    {
      ask: `PUT ${at}`,
      body: { version: "3.0.0" },
      status: 400,
      answer: invalid(/^Cannot update resource version/),
    },
    {
      ask: "PUT /edgeResource/<run>-new/1.0.0",
      body: { interfaceProtocol: "http", interface: endpoints() },
      status: 200,
      answer: { name: "<run>-new", version: "1.0.0", orchestrationTags: [] },
    },
    { ask: "PUT /edgeResource/<run>-new/1.0.0", body: { name: "<run>-newer" }, status: 200 },
    {
      ask: "PUT /edgeResource/<run>-other/1.0.0",
      body: { interfaceProtocol: "http", interface: endpoints() },
      status: 200,
    },
    {
      ask: "PUT /edgeResource/<run>-other/1.0.0",
      body: { name: "<run>-newer" },
      status: 500,
      answer: failure("DuplicatePropertyError", "Resource <run>-newer version 1.0.0 already exists"),
    },
    // Links, and the tags that come and go with them.
    { ask: "PATCH /iofog/<edge>", body: { natsMode: "none", tags: ["<run>-t", "<run>-own"] }, status: 204 },
    { ask: `POST ${at}/link`, body: { uuid: "<edge>" }, status: 200 },
    { ask: `POST ${at}/link`, body: { uuid: "<edge>" }, status: 200 },
    {
      ask: `POST ${at}/link`,
      body: { uuid: "nope" },
      status: 500,
      answer: notFound("Could not find agent nope"),
    },
    {
      ask: `POST ${at}/link`,
      body: {},
      status: 500,
      answer: failure("Error", 'WHERE parameter "uuid" has invalid "undefined" value'),
    },
    {
      ask: "POST /edgeResource/<run>-nope/v1.0.0/link",
      body: { uuid: "<edge>" },
      status: 500,
      answer: notFound("Could not find resource <run>-nope version v1.0.0"),
    },
    {
      ask: "GET /iofog/<edge>",
      status: 200,
      answer: {
        tags: inAnyOrder("<run>-t", "<run>-own"),
        edgeResources: [{ name: "<run>-cam", version: "v1.0.0", orchestrationTags: [], id: absent }],
      },
    },
    { ask: `DELETE ${at}/link`, body: { uuid: "<edge>" }, status: 200 },
    { ask: "GET /iofog/<edge>", status: 200, answer: { tags: ["<run>-own"], edgeResources: [] } },
    // Another protocol costs the interface, for good.
    {
      ask: `PUT ${at}`,
      body: { interfaceProtocol: "wss" },
      status: 500,
      answer: failure("TypeError", /^Cannot destructure property 'endpoints'/),
    },
    {
      only: "3.0",
      ask: `GET ${at}`,
      status: 200,
      answer: { interfaceProtocol: "wss", interface: absent },
    },
    {
      only: "3.0",
      ask: "GET /edgeResource/<run>-cam",
      status: 500,
      answer: failure("TypeError", "Cannot read properties of null (reading 'toJSON')"),
    },
    { ask: `DELETE ${at}`, status: 202 },
    {
      ask: `DELETE ${at}`,
      status: 404,
      answer: notFound("Could not find resource <run>-cam version v1.0.0"),
    },
  ],
};

export const templates: Chapter = {
  title: "application templates",
  steps: [
    { ask: "HEAD /capabilities/applicationTemplates", status: 204 },
    {
      ask: "POST /applicationTemplate",
      body: {
        ...{ name: "<run>-tpl", description: "t" },
        variables: [{ key: "agentname", description: "agent" }, { key: "port", defaultValue: 5600 }],
        application: {
          microservices: [{
            ...{
              name: "tm",
              agentName: "{{ agentname }}",
              images: [{ fogTypeId: 1, containerImage: "t:1" }],
            },
            ports: [{ internal: 80, external: "{{ port | toNumber }}" }],
            config: '{"a":"{{ port }}"}',
          }],
        },
      },
      status: 201,
      answer: { name: "<run>-tpl" },
    },
    {
      ask: "POST /applicationTemplate",
      body: { name: "<run>-tpl" },
      status: 500,
      answer: failure("DuplicatePropertyError", "Duplicate name '<run>-tpl'"),
    },
    {
      ask: "GET /applicationTemplate/<run>-tpl",
      status: 200,
      answer: {
        description: "t",
        variables: [{ key: "agentname" }, { key: "port", defaultValue: 5600 }],
        application: { microservices: [{ agentName: "{{ agentname }}" }] },
      },
    },
    {
      ask: "GET /applicationTemplates",
      status: 200,
      answer: {
        applicationTemplates: has({
          name: "<run>-tpl",
          variables: [{}, { key: "port", defaultValue: "5600" }],
        }),
      },
    },
    {
      ask: "GET /applicationTemplate/<run>-nope",
      status: 404,
      answer: notFound("Could not find Application Template <run>-nope"),
    },
    { ask: "PATCH /applicationTemplate/<run>-tpl", body: { description: "t2" }, status: 204 },
    {
      ask: "POST /application",
      body: {
        name: "<run>-fromtpl",
        template: { name: "<run>-tpl", variables: [{ key: "agentname", value: "<run>-edge" }] },
      },
      status: 201,
    },
    {
      ask: "GET /application/<run>-fromtpl",
      status: 200,
      answer: {
        microservices: [{ name: "tm", iofogUuid: "<edge>", ports: [{ external: 5600 }], config: anything }],
      },
    },
    {
      ask: "PUT /application/<run>-fromtpl",
      body: {
        template: {
          name: "<run>-tpl",
          variables: [{ key: "agentname", value: "<run>-edge" }, { key: "port", value: 5601 }],
        },
      },
      status: 204,
    },
    {
      ask: "GET /application/<run>-fromtpl",
      status: 200,
      answer: { microservices: [{ name: "tm", ports: [{ external: 5601 }] }] },
    },
    { ask: "PUT /applicationTemplate/<run>-tpl", body: { description: "t3" }, status: 200 },
    {
      ask: "GET /applicationTemplate/<run>-tpl",
      status: 200,
      answer: { description: "t3", application: {}, variables: [{ key: "agentname" }, { key: "port" }] },
    },
    { ask: "PUT /applicationTemplate/<run>-two", body: { application: { microservices: [] } }, status: 200 },
    { ask: "DELETE /applicationTemplate/<run>-two", status: 204 },
    { ask: "DELETE /applicationTemplate/<run>-two", status: 204 },
    { ask: "DELETE /application/<run>-fromtpl", status: 204 },
  ],
};

const registry = { url: "<run>.example", isPublic: false, username: "u", password: "p", email: "a@b.co" };

export const catalogue: Chapter = {
  title: "registries and catalogue",
  steps: [
    {
      ask: "GET /registries",
      status: 200,
      answer: { registries: has({ id: 1, url: "registry.hub.docker.com" }, { id: 2, url: "from_cache" }) },
    },
    {
      ask: "POST /registries",
      body: { url: "<run>.example", isPublic: false },
      status: 400,
      answer: invalid("Required field 'username' is missing"),
    },
    { ask: "POST /registries", body: registry, status: 201, keep: { registry: "id" } },
    { ask: "POST /registries", body: registry, status: 201, keep: { second: "id" } },
    {
      ask: "GET /registries",
      status: 200,
      answer: {
        registries: has({ url: "<run>.example", userEmail: "a@b.co", isPublic: false, password: absent }),
      },
    },
    { only: "3.7", ask: "GET /registries/<registry>", status: 200, answer: { password: "p" } },
    { ask: "PATCH /registries/<registry>", body: { url: "<run>-two.example" }, status: 204 },
    {
      ask: "PATCH /registries/999999",
      body: { url: "x.example" },
      status: 404,
      answer: notFound("Registry not found"),
    },
    { ask: "DELETE /registries/<second>", status: 204 },
    {
      ask: "DELETE /registries/abc",
      status: 400,
      answer: invalid("Field 'id' is not of a type(s) integer"),
    },
    {
      ask: "POST /catalog/microservices",
      body: { name: "<run>-cat", registryId: 1 },
      status: 400,
      answer: invalid("Required field 'images' is missing"),
    },
    {
      ask: "POST /catalog/microservices",
      body: { name: "<run>-cat", registryId: 1, images: [{ containerImage: "c:1", fogTypeId: 1 }] },
      status: 201,
      keep: { item: "id" },
    },
    {
      ask: "POST /catalog/microservices",
      body: { name: "<run>-cat", registryId: 1, images: [{ containerImage: "c:1", fogTypeId: 1 }] },
      status: 409,
      answer: failure("DuplicatePropertyError", "Duplicate name '<run>-cat'"),
    },
    {
      ask: "POST /catalog/microservices",
      body: { name: "<run>-cat2", registryId: 999999, images: [{ containerImage: "c:1", fogTypeId: 1 }] },
      status: 500,
      answer: notFound("Invalid registry id '999999'"),
    },
    {
      ask: "GET /catalog/microservices/<item>",
      status: 200,
      answer: {
        ...{ name: "<run>-cat", description: "", category: null, isPublic: false, registryId: 1 },
        images: inAnyOrder({ containerImage: "c:1", fogTypeId: 1 }, { containerImage: null, fogTypeId: 2 }),
      },
    },
    {
      ask: "GET /catalog/microservices/999999",
      status: 404,
      answer: notFound("Invalid catalog item id '999999'"),
    },
    {
      ask: "PATCH /catalog/microservices/<item>",
      body: { images: [{ containerImage: "c:2", fogTypeId: 1 }] },
      status: 204,
    },
    {
      scene: "a microservice made of a catalogue item holds on to it",
      async run(conversation) {
        const catalogItemId = Number(conversation.fill("<item>"));
        const body = { name: "fromcat", agentName: "<run>-edge", application: "<run>-demo", catalogItemId };
        await conversation.expect({
          ask: "POST /microservices",
          body,
          status: 201,
          keep: { fromcat: "uuid" },
        });
        const answer = { catalogItemId, images: [], registryId: 1 };
        await conversation.expect({ ask: "GET /microservices/<fromcat>", status: 200, answer });
        const inUse = conversation.generation === "3.0"
          ? failure("SequelizeForeignKeyConstraintError", /FOREIGN KEY constraint failed/)
          : invalid("Can't update catalog item images for item used for running microservices");
        await conversation.expect({
          ask: "DELETE /catalog/microservices/<item>",
          status: 500,
          answer: inUse,
        });
        await conversation.expect({ ask: "DELETE /microservices/<fromcat>", status: 204 });
        await conversation.expect({ ask: "DELETE /catalog/microservices/<item>", status: 204 });
      },
    },
    {
      only: "3.0",
      ask: "PATCH /catalog/microservices/1",
      body: { description: "x" },
      status: 404,
      answer: notFound("Invalid catalog item id '1'"),
    },
    {
      only: "3.7",
      ask: "PATCH /catalog/microservices/1",
      body: { description: "x" },
      status: 400,
      answer: invalid("Catalog item id 1 is system and can't be updated"),
    },
    {
      only: "3.0",
      ask: "GET /catalog/microservices",
      status: 200,
      answer: { catalogItems: has({ id: 4, name: "Diagnostics", category: "UTILITIES", isPublic: true }) },
    },
    {
      only: "3.7",
      ask: "GET /catalog/microservices",
      status: 200,
      answer: { catalogItems: has({ id: 1, name: "Router", category: "SYSTEM", publisher: "Datasance" }) },
    },
  ],
};
