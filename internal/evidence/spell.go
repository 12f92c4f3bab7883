package evidence

import "strings"

// misspells reports whether two words are the same but for a slip of the pen:
// one letter in words of five or more, two in words of nine or more. Words with
// digits, and words that differ by a prefix ("sync", "async"), are different
// words.
func misspells(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	allowed := 1
	switch {
	case len(a) < 5:
		return false
	case len(a) >= 9:
		allowed = 2
	}
	if len(b)-len(a) > allowed || strings.HasSuffix(b, a) || strings.ContainsAny(a, "0123456789") || strings.ContainsAny(b, "0123456789") {
		return false
	}
	if a[0] != b[0] && a[len(a)-1] != b[len(b)-1] {
		return false // a slip seldom changes both ends, and this settles most pairs
	}
	return within(a, b, allowed)
}

// within reports whether a can be turned into b by at most k insertions,
// deletions, substitutions and swaps of neighbours (k is 1 or 2; bytes, so that
// a letter beyond ASCII may count twice).
func within(a, b string, k int) bool {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	switch {
	case len(a) == 0:
		return len(b) <= k
	case len(b) == 0:
		return len(a) <= k
	case k == 0:
		return false
	}
	return within(a[1:], b[1:], k-1) || within(a[1:], b, k-1) || within(a, b[1:], k-1) ||
		len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] && within(a[2:], b[2:], k-1)
}
