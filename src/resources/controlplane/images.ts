/**
 * What an image is called.
 */

const NAME = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const HOST =
  "(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\\[[0-9a-fA-F:]+\\])";
const IMAGE = new RegExp(
  `^(?:${HOST}(?::[0-9]+)?/)?${NAME}(?:/${NAME})*(?::[\\w][\\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,})?$`,
);

/** Whether `text` names an image as a kubelet understands it, with a tag, a digest, both or none. */
export function isImage(text: string): boolean {
  return text.length <= 512 && IMAGE.test(text);
}
