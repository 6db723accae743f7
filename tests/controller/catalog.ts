/** The catalogue's items: those of the users, and what comes with the Controller. */

import type { CatalogItemRow } from "./edge_state.ts";
import type { Version, World } from "./route.ts";

/** Every item that can be seen, in the order of the lists. */
export function allItems({ state, version }: World): readonly CatalogItemRow[] {
  return [...builtIn[version], ...state.catalogItems];
}

/** 3.0.4 hides those of the system, whose numbers come first and last; 3.7.3 has no others. */
const builtIn: Readonly<Record<Version, readonly CatalogItemRow[]>> = {
  "3.0.4": [
    item(4, "Diagnostics", "UTILITIES", "iofog/diagnostics", "iofog/diagnostics-arm"),
    item(5, "Hello Web Demo", "UTILITIES", "iofog/hello-web", "iofog/hello-web-arm"),
    item(
      8,
      "Temperature Converter",
      "UTILITIES",
      "iofog/temperature-conversion",
      "iofog/temperature-conversion-arm",
    ),
    item(14, "JSON Generator", "UTILITIES", "iofog/json-generator", "iofog/json-generator-arm"),
  ],
  "3.7.3": ["Router", "RESTBlue", "HAL", "Debug", "NATs"].map((name, index) => {
    const image = `ghcr.io/datasance/${name.toLowerCase()}:latest`;
    return item(index + 1, name, "SYSTEM", image, image, "Datasance");
  }),
};

function item(
  id: number,
  name: string,
  category: string,
  x86: string,
  arm: string,
  publisher = "Eclipse ioFog",
): CatalogItemRow {
  return {
    id,
    userId: null,
    columns: {
      ...{ name, description: "", category, publisher, diskRequired: 0, ramRequired: 0, picture: "none.png" },
      ...{ isPublic: true, registryId: 1, configExample: null },
    },
    images: [{ fogTypeId: 1, containerImage: x86 }, { fogTypeId: 2, containerImage: arm }],
    inputType: null,
    outputType: null,
  };
}
