package importer

import (
	"regexp"
	"strings"
)

var (
	// A comma in brackets or in a number separates nothing.
	commas = regexp.MustCompile(`\s*,\s+(?:and\s+|or\s+|as well as\s+|plus\s+)?`)
	ands   = regexp.MustCompile(`\s+(?:and|plus|as well as|&)\s+`)
	asks   = regexp.MustCompile(`(?i)^(?:how|what|why|when|where|which|who|whom|whether|that)\b`)
	// subject is the beginning that clauses of a list share: "how you", "how
	// you ensure".
	subject  = regexp.MustCompile(`(?i)^((?:how|why|when|where|that|what|which \w+|what \w+)\s+(?:you|they|your \w+)(?:['’](?:d|ll|ve|re))?(?:\s+(?:would|will|can|could|have|did|are|also))?)\s+(.+)$`)
	particle = regexp.MustCompile(`(?i)^(\S+(?:\s+(?:against|for|with|to|on|in|of|about|from|at|over|after|up|through|out|off|down))*)\s+(.+)$`)
	preposed = regexp.MustCompile(`(?i)\s(?:for|with|of|to|from|against|in|on|between|about|at|by|into|across|over|under|through|during|without|within|as|around|towards?|behind)\s`)
	anew     = regexp.MustCompile(`(?i)^(?:an?|your|how|what|why|when|which|where|who|whether|any|one)\s`)
	// together are verbs whose point is both.
	together  = regexp.MustCompile(`(?i)^(?:combin|balanc|reconcil|connect|compar|weigh|choos|decid|align|integrat|mix|separat|distinguish)\w*\s`)
	adjective = regexp.MustCompile(`(?i)^(?:your\s+)?\S+(?:ive|al|ic|ous|ary|able|ible|ful)$`)
	contrast  = regexp.MustCompile(`(?i)^(?:not|rather than|instead of|without|but|especially|particularly|including|even|while|so|where|which|who|if|because|when possible|where possible|if possible|to|with|by|for|from|in)\b`)
	// sharedHead are nouns that single words before them borrow: "reliability,
	// security and cost considerations".
	sharedHead = regexp.MustCompile(`(?i)^(\S+)\s+((?:considerations?|aspects?|concerns?|requirements?|factors?|implications?|constraints?|objectives?|skills|strateg(?:y|ies)|metrics|goals?|trade-?offs?|issues|risks|needs|improvements))$`)
)

// enumerated takes an enumeration apart. Each part stands for itself: what the
// parts share (a subject, a head noun) is repeated in each.
func enumerated(list string) []string {
	masked, brackets := mask(list)
	pieces := commas.Split(masked, -1)
	closed := strings.Contains(masked, ", and ") || strings.Contains(masked, ", or ")
	var chunks []string
	for i, piece := range pieces {
		// "focus on A, not B": the contrast is part of A. "A, who does B, and how
		// you do C" are three: the last one says what kind of list it is.
		last := pieces[len(pieces)-1]
		stands := asks.MatchString(piece) && asks.MatchString(last) && (i < len(pieces)-1 || closed)
		if i > 0 && contrast.MatchString(piece) && !stands {
			chunks[len(chunks)-1] += ", " + piece
			continue
		}
		chunks = append(chunks, piece)
	}
	if n := len(chunks); n > 0 {
		last := chunks[n-1]
		if len(pieces) == 1 || !closed {
			chunks = append(chunks[:n-1], atAnd(last)...)
		}
	}
	chunks = withSubject(chunks)
	chunks = withHead(chunks)
	for i := range chunks {
		chunks[i] = strings.TrimSpace(unmask(chunks[i], brackets))
	}
	return chunks
}

// atAnd cuts in two what "and" joins, where the second is no part of the
// first's complement: "outcomes for people and the team" stays whole.
func atAnd(s string) []string {
	at := ands.FindAllStringIndex(s, -1)
	for _, m := range at {
		left, right := s[:m[0]], s[m[1]:]
		if sub := subject.FindStringSubmatch(left); sub != nil && together.MatchString(sub[2]) && !asks.MatchString(right) {
			continue
		}
		if lone := adjective.FindStringSubmatch(left); lone != nil && strings.Contains(right, " ") && !preposed.MatchString(" "+right+" ") {
			head := right[strings.LastIndexByte(right, ' '):]
			return []string{left + head, right}
		}
		if strings.HasPrefix(strings.ToLower(left), "both ") {
			left = left[5:]
		}
		if strings.Contains(strings.ToLower(left), "between ") {
			continue
		}
		own := left
		if sub := subject.FindStringSubmatch(left); sub != nil {
			own = sub[2]
			if p := particle.FindStringSubmatch(own); p != nil {
				own = p[2]
			}
		}
		switch {
		case asks.MatchString(right), anew.MatchString(right) && !strings.Contains(own, " vs"):
		case asks.MatchString(left) && opensWithVerb(right):
		case preposed.MatchString(" " + own + " "):
			continue
		case len(strings.Fields(own)) == 1 && len(strings.Fields(right)) == 1 && len(own) < 4:
			continue // a pair such as "if and when"
		}
		return append([]string{left}, atAnd(right)...)
	}
	return []string{s}
}

// withSubject repeats the subject of the first clause in those that lack it.
func withSubject(chunks []string) []string {
	if len(chunks) < 2 {
		return chunks
	}
	for i := 1; i < len(chunks); i++ {
		m := subject.FindStringSubmatch(chunks[i-1])
		if m == nil || asks.MatchString(chunks[i]) || anew.MatchString(chunks[i]) && strings.HasPrefix(strings.ToLower(m[1]), "what") {
			continue
		}
		switch {
		case opensWithVerb(chunks[i]) && (!isPast(chunks[i]) || isPast(m[2])):
			chunks[i] = m[1] + " " + chunks[i]
		default:
			if p := particle.FindStringSubmatch(m[2]); p != nil && !strings.HasPrefix(strings.ToLower(m[1]), "what") {
				chunks[i] = m[1] + " " + p[1] + " " + chunks[i]
			}
		}
	}
	return chunks
}

// withHead lends the head noun of the last item to single words before it.
func withHead(chunks []string) []string {
	n := len(chunks)
	if n < 2 {
		return chunks
	}
	m := sharedHead.FindStringSubmatch(chunks[n-1])
	if m == nil {
		return chunks
	}
	for _, c := range chunks[:n-1] {
		if strings.Contains(c, " ") {
			return chunks
		}
	}
	for i := range chunks[:n-1] {
		chunks[i] += " " + m[2]
	}
	return chunks
}

// mask hides brackets from the cutting of lists.
func mask(s string) (masked string, brackets []string) {
	masked = parens.ReplaceAllStringFunc(s, func(b string) string {
		brackets = append(brackets, b)
		return "\x01" + string(rune('a'+len(brackets)-1))
	})
	return masked, brackets
}

func unmask(s string, brackets []string) string {
	for i, b := range brackets {
		s = strings.ReplaceAll(s, "\x01"+string(rune('a'+i)), b)
	}
	return s
}
