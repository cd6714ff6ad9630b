// Slices of 32 channels.

const PAIRS = 16u;
// More than they have, so that sites lie in different banks.
const SITE_BYTES = 48u;
const TAPS = 9u;

// How many sites further on than the first tap another one sees.
fn further(tap: u32) -> u32 {
  return (tap / 3u) * ROW + tap % 3u;
}
