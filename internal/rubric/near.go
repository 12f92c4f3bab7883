package rubric

import (
	"slices"
	"strings"
)

// nearest returns the candidates that a person may have meant by word, the
// closest first, at most three.
func nearest(word string, candidates []string) []string {
	type scored struct {
		name string
		cost int
	}
	if len(word) > 200 {
		return nil // not a slip of the finger, and not worth the time
	}
	var near []scored
	for _, c := range candidates {
		cost := editDistance(strings.ToLower(word), strings.ToLower(c))
		switch {
		case cost <= max(1, len(c)/4):
		case len(word) >= 4 && strings.Contains(c, word):
			cost = len(c)
		default:
			continue
		}
		near = append(near, scored{c, cost})
	}
	slices.SortStableFunc(near, func(a, b scored) int { return a.cost - b.cost })
	var names []string
	for _, s := range near[:min(3, len(near))] {
		names = append(names, s.name)
	}
	return names
}

// editDistance is the number of insertions, deletions, replacements and swaps
// of neighbours that turn a into b (optimal string alignment), over bytes.
func editDistance(a, b string) int {
	before := make([]int, len(b)+1)
	last := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// didYouMean is "; did you mean a or b?" or nothing.
func didYouMean(word string, candidates []string) string {
	near := nearest(word, candidates)
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}
