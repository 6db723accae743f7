/** Name of the ConfigMap that records what was made in the Controller. */
export const inventoryName = "iofog-inventory";
