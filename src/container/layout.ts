/** Every magic, offset, width and limit of specification chapter 1, and nothing else. */

export const MAGIC = Uint8Array.of(0x89, 0x4c, 0x49, 0x49, 0x46, 0x0d, 0x0a, 0x1a);
export const VERSION = 1;

/** magic 8, version 2, flags 2, header length 4. Spec 1.2. */
export const PREFIX_LENGTH = 16;
export const MAX_HEADER_LENGTH = 65_536;
export const CRC_LENGTH = 4;
/** offset 8, length 4, crc 4. Spec 1.4. */
export const INDEX_ENTRY_LENGTH = 16;
export const MAX_CHUNKS = 2 ** 20;

/** Spec 1.3. */
export const MAX_SIDE = 2 ** 24;
export const MAX_LEVELS = 24;
export const MAX_QUALITY = 100;
export const MODEL_HASH_LENGTH = 32;
export const MAX_ENCODER_LENGTH = 64;
export const MIN_CHUNK_SIZE = 8;
export const MAX_CHUNK_SIZE = 64;
export const CHUNK_SIZE_MULTIPLE = 8;
export const MAX_SECTIONS = 16;
export const MAX_SECTION_TYPE_LENGTH = 16;
export const MAX_SECTION_LENGTH = 2 ** 28;
export const MAX_NESTING = 8;

/** Pixels on the side of what one latent covers. */
export const LATENT_STRIDE = 16;

/** Spec 2.1: four states. The upper bound depends on the model and is the entropy decoder's to check. */
export const MIN_CHUNK_LENGTH = 16;
/**
 * No chunk of a valid file is longer: 8 bytes for each symbol of 64 x 64 latents and 16 x 16 hyper latents,
 * at most 4096 channels each (spec 2.1, 3.3).
 */
export const MAX_CHUNK_LENGTH =
  MIN_CHUNK_LENGTH + 8 * 4096 * (MAX_CHUNK_SIZE ** 2 + (MAX_CHUNK_SIZE / 4) ** 2);
