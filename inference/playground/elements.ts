/** The page's elements, its messages, and places where files are dropped. */

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

/** Runs a task; its error is shown as the server says it. */
export function shown(status: string, task: () => Promise<void>): void {
  task().catch((error: unknown) => say(status, error instanceof Error ? error.message : String(error), true));
}

/** Files chosen with the input `id`, or dropped on its section. */
export function onFiles(id: string, take: (files: readonly File[]) => void): void {
  const input = element(id, HTMLInputElement);
  const section = input.closest('section');
  input.addEventListener('change', () => {
    take([...(input.files ?? [])]);
    input.value = '';
  });
  section?.addEventListener('dragover', (event) => {
    event.preventDefault();
    section.classList.add('over');
  });
  section?.addEventListener('dragleave', () => section.classList.remove('over'));
  section?.addEventListener('drop', (event) => {
    event.preventDefault();
    section.classList.remove('over');
    take([...(event.dataTransfer?.files ?? [])]);
  });
}
