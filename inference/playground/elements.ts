/** The page's elements, its messages, and areas where files are dropped. */

/** Throws if the page has no such element. */
export function element<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no #${id}.`);
  return found;
}

/** Says something in a section's live region. */
export function say(id: string, text: string, failed = false): void {
  const status = element(id, HTMLElement);
  status.textContent = text;
  status.classList.toggle('error', failed);
}

/** Runs a task; its error is shown as the server says it, unless another task has taken its place. */
export function shown(status: string, task: () => Promise<void>, isCurrent = () => true): void {
  task().catch((error: unknown) => {
    if (isCurrent()) say(status, error instanceof Error ? error.message : String(error), true);
  });
}

/** Tells of each task in a row, which a newer one replaces, whether it is the newest. */
export function newest(): () => () => boolean {
  let run = 0;
  return () => {
    run += 1;
    const mine = run;
    return () => mine === run;
  };
}

/** Files chosen with the input `id`, or dropped on its section. The input names them. */
export function onFiles(id: string, take: (files: readonly File[]) => void): void {
  const input = element(id, HTMLInputElement);
  const section = input.closest('section');
  // A change event follows even if the same file is chosen again.
  input.addEventListener('click', () => {
    input.value = '';
  });
  input.addEventListener('change', () => take([...(input.files ?? [])]));
  section?.addEventListener('dragover', () => section.classList.add('over'));
  section?.addEventListener('dragleave', ({ relatedTarget }) => {
    if (!(relatedTarget instanceof Node && section.contains(relatedTarget))) section.classList.remove('over');
  });
  section?.addEventListener('drop', ({ dataTransfer }) => {
    section.classList.remove('over');
    const files = dataTransfer?.files;
    if (files === undefined || files.length === 0) return;
    if (input.multiple || files.length === 1) input.files = files;
    take([...files]);
  });
}

/** A file that misses the sections must not replace the page. */
export function keepPageOnDrop(): void {
  for (const type of ['dragover', 'drop']) {
    document.addEventListener(type, (event) => event.preventDefault());
  }
}
