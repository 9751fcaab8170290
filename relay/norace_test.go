//go:build !race

package relay_test

// everyNth is which part of the bits the tests of flipped bits take: all.
const everyNth = 1
