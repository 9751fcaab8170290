//go:build race

package relay_test

// everyNth is which part of the bits the tests of flipped bits take: under the
// race detector a few of them.
const everyNth = 29
