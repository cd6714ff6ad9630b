// A tap is one site, with a slice of 32 channels.

// Of a tap, how many are of the same site.
const SITE_QUADS = 8u;
const TAPS = 9u;

// How many sites further on than the first tap another one sees.
fn further(tap: u32) -> u32 {
  return (tap / 3u) * ROW + tap % 3u;
}
