import type { Notices } from '../elements/notices.ts';
import { type ImageInfo, uploadImage } from '../picture/api.ts';

/**
 * Sends an image to the server, with its progress in a notice. Resolves with its picture, or with undefined
 * where it was canceled or a notice tells of its failure.
 */
export async function sendFile(file: File, notices: Notices): Promise<ImageInfo | undefined> {
  const controller = new AbortController();
  const { signal } = controller;
  const notice = notices.show(`${file.name}: sending`, {
    forMs: 0,
    action: {
      name: 'Cancel',
      stays: true,
      run: () => {
        notice.update(`${file.name}: canceling`);
        controller.abort();
      },
    },
  });
  try {
    return await uploadImage(
      file,
      (stage, progress) => {
        if (!signal.aborted) notice.update(`${file.name}: ${stage} ${Math.round(progress * 100)} %`);
      },
      signal,
    );
  } catch (error) {
    notices.show(`${file.name}: ${(error as Error).message}`, { kind: 'fault', forMs: 10_000 });
    return undefined;
  } finally {
    notice.close();
  }
}
