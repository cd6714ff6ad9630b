import { readdir, readFile } from 'node:fs/promises';
import type { Browser } from 'playwright-core';

/** Processor seconds that Chromium has spent so far, by process and kind of thread; empty without /proc. */
export async function threadTimes(browser: Browser): Promise<Map<string, number>> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const times = new Map<string, number>();
  for (const { type, id } of processInfo) {
    const threads = await readdir(`/proc/${id}/task`).catch(() => []);
    for (const thread of threads) {
      const stat = await readFile(`/proc/${id}/task/${thread}/stat`, 'utf8').catch(() => undefined);
      if (stat === undefined) continue;
      const end = stat.lastIndexOf(')');
      const name = Number(thread) === id ? 'main' : stat.slice(stat.indexOf('(') + 1, end);
      // After the name in brackets: user and system time are the 12th and 13th, in hundredths.
      const fields = stat.slice(end + 2).split(' ');
      const seconds = (Number(fields[11]) + Number(fields[12])) / 100;
      const key = `${type} ${name.replace(/[\d/#:]+$/, '')}`;
      times.set(key, (times.get(key) ?? 0) + seconds);
    }
  }
  return times;
}
