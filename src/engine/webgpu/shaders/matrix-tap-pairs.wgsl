// At most 16 channels: a tap of 32 is two sites next to each other, in each row of three the first two and the last one, which has no weights for the site
// after it.

// Of a tap, how many are of the same site.
const SITE_QUADS = 4u;
const TAPS = 6u;

// How many sites further on than the first tap another one sees.
fn further(tap: u32) -> u32 {
  return (tap / 2u) * ROW + 2u * (tap % 2u);
}
