/** Files as users of iofogctl and potctl have them, with every kind that there is a custom resource for. */

/** @param flavour Whose CLI it is for. */
export function fileOf(flavour: "iofog" | "pot"): string {
  const apiVersion = flavour === "iofog" ? "iofog.org/v3" : "datasance.com/v3";
  const [installer, container, nats] = flavour === "iofog"
    ? ["package: { version: 3.0.1 }", "rootHostAccess: false", ""]
    : ["package: { version: 3.4.0, container: { image: agent:3.4 } }", "isPrivileged: false", natsConfig];
  return `---
apiVersion: ${apiVersion}
kind: Agent
metadata: { name: "Press Hall 1", namespace: plant-7, tags: [press, camera-capable] }
spec:
  host: 10.30.0.11
  ssh: { user: edge, port: 22, keyFile: ~/.ssh/plant7 }
  ${installer}
  config:
    description: Gateway next to press 1
    location: Hall A
    latitude: 46.2
    longitude: 6.14
    agentType: x86
    memoryLimit: 2048
    statusFrequency: 10
    upstreamRouters: [default-router]
    routerConfig: { routerMode: edge, messagingPort: 5672 }
${nats}---
apiVersion: ${apiVersion}
kind: Application
metadata: { name: press-monitor }
spec:
  description: Vibration monitoring of press 1
  microservices:
    - name: vibration-reader
      agent: { name: "Press Hall 1" }
      images: { x86: "registry.plant7.example/reader:2.1", arm: "registry.plant7.example/reader:2.1-arm", registry: remote }
      config: { sampleHz: 400, window: 5, format: "{{ level }}: \\"{{ text }}\\"" }
      container:
        ${container}
        volumes: [{ hostDestination: /dev/shm, containerDestination: /dev/shm, accessMode: rw, type: bind }]
        env: [{ key: LOG_LEVEL, value: info }, { key: DEBUG, value: false }]
        commands: ["--profile", "press"]
    - name: dashboard
      agent: { name: "Press Hall 1" }
      images: { x86: "registry.plant7.example/dash:1.4" }
      container:
        ports: [{ internal: 8080, external: 5080, protocol: tcp }]
        extraHosts: [{ name: reader.local, address: "\${Apps.press-monitor.vibration-reader.local}" }]
${flavour === "iofog" ? "  routes: [{ name: readings, from: vibration-reader, to: dashboard }]\n" : ""}---
apiVersion: ${apiVersion}
kind: Microservice
metadata: { name: press-monitor/archive }
spec:
  agent: { name: "Press Hall 1" }
  images: { x86: "registry.plant7.example/archive:2.2", registry: remote }
  config: { keepDays: 30 }
  container:
    ports: [{ internal: 9000, external: 5090 }]
    env: [{ key: LOG_LEVEL, value: debug }]
---
apiVersion: ${apiVersion}
kind: EdgeResource
metadata: { name: gate-camera }
spec:
  version: v1.2.0
  description: Camera above gate 3
  interfaceProtocol: https
  interface: { endpoints: [{ name: snapshot, method: GET, url: /snapshot }, { name: zoom, method: PUT, url: /zoom }] }
  display: { name: Gate camera, icon: camera, color: "#336699" }
  orchestrationTags: [camera, gate-3]
  custom: { vendor: acme }
${flavour === "iofog" ? route : ""}---
apiVersion: ${apiVersion}
kind: Volume
metadata: { name: model-files }
spec: { agents: [Press Hall 1], source: ./models/, destination: /var/lib/models/, permissions: "644" }
`;
}

const natsConfig = `    natsConfig: { natsMode: leaf, jsStorageSize: 5g }
    containerEngine: docker
`;

const route = `---
apiVersion: iofog.org/v3
kind: Route
metadata: { name: press-monitor/history }
spec: { from: dashboard, to: archive }
`;
