/** Lines at the foot of a terminal that are painted over and over, with ordinary lines scrolling above them. Restores the cursor. */
import type { Output } from '../context.ts';

export interface LiveView extends Disposable {
  /** Paints these lines in place of the last ones. */
  paint(lines: readonly string[]): void;
  /** Writes a line that stays, above the painted ones. */
  say(line: string): void;
}

const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_BELOW = '\x1b[J';

/** The last painting stays when the view is disposed. Lines must not be longer than the terminal is wide. */
export function openLiveView(output: Output): LiveView {
  let painted: readonly string[] = [];
  const home = () => (painted.length > 0 ? `\x1b[${painted.length}A\r` : '') + CLEAR_BELOW;
  const block = () => painted.map((line) => `${line}\n`).join('');
  output.write(HIDE_CURSOR);
  return {
    paint(lines) {
      const before = home();
      painted = lines;
      output.write(before + block());
    },
    say(line) {
      output.write(`${home()}${line}\n${block()}`);
    },
    [Symbol.dispose]: () => void output.write(SHOW_CURSOR),
  };
}
