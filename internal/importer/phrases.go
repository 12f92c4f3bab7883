package importer

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// How many phrases a draft gives a criterion, and how long those that it takes
// from the sample answer are, in words.
const (
	fewestPhrases = 3
	fromSample    = 3
	shortClause   = 3
	longClause    = 16
	// enough is the share of words in common from which a clause speaks of a
	// claim.
	enough = 0.45
)

var (
	clauseCut  = regexp.MustCompile(`[;:—–]\s+|[—–]|\s-+\s|,?\s+(?:and then|then|so that|while|which|where|because|so|plus)\s+`)
	clauseLead = regexp.MustCompile(`(?i)^(?:(?:and|but|or|then|also|so|to|that|which|where|with|finally|first|next|in addition|afterwards?|from there|ultimately|overall|for me)\b,?\s*)?(?:(?:I|we|they)(?:['’](?:d|ve|ll|m|re))?\s+(?:(?:would|will|have|had|also|then|always|usually|typically|start by|started by)\s+)*)?`)
)

var (
	// loose are words that hang over where a clause was cut.
	loose        = regexp.MustCompile(`(?i)(?:[,\s]+(?:and|or|with|to|of|for|in|on|at|by|the|an?|as|that|from|into|my|our|their|your))+$`)
	circumstance = regexp.MustCompile(`(?i)^(?:in|at|for|on|after|before|during|as|within|when|over|from|by)\s`)
)

// clausesIn takes a sample answer apart into runs of words that say something
// by themselves.
func clausesIn(sample string) []string {
	var out []string
	for sentence := range sentences(sample) {
		sentence = parens.ReplaceAllString(strings.TrimRight(sentence, ".!? "), "")
		for _, part := range clauseCut.Split(sentence, -1) {
			for _, c := range atCommas(part) {
				c = strings.TrimSpace(clauseLead.ReplaceAllString(strings.TrimSpace(c), ""))
				c = strings.Trim(c, `"“”'‘’ .,;:`)
				for _, c := range atLength(c) {
					c = loose.ReplaceAllString(c, "")
					if n := len(strings.Fields(c)); n >= shortClause && len(content(c)) >= 2 && (n > 5 || !circumstance.MatchString(c)) {
						out = append(out, c)
					}
				}
			}
		}
	}
	return out
}

// atCommas cuts at commas between runs of words that are long enough to be
// clauses: those of a list of adjectives are not.
func atCommas(s string) []string {
	var out []string
	last := 0
	for piece := range strings.SplitSeq(s, ", ") {
		n := len(strings.Fields(piece))
		if len(out) > 0 && (n < shortClause || last < shortClause) {
			out[len(out)-1] += ", " + piece
		} else {
			out = append(out, piece)
		}
		last = n
	}
	return out
}

// atLength cuts a long clause at its "and", or else where it is long enough.
func atLength(c string) []string {
	words := strings.Fields(c)
	if len(words) <= longClause {
		return []string{c}
	}
	if left, right, found := strings.Cut(c, " and "); found && len(strings.Fields(left)) >= shortClause {
		return append(atLength(left), atLength(right)...)
	}
	return append([]string{strings.Join(words[:longClause], " ")}, atLength(strings.Join(words[longClause:], " "))...)
}

// content is the stems of the words that carry content.
func content(s string) map[string]bool {
	out := make(map[string]bool)
	doc := text.Parse(s)
	for _, t := range doc.Tokens {
		if t.Class != text.Function && !empty[t.Norm] {
			out[t.Stem] = true
		}
	}
	return out
}

// empty are words of guidance that no answer is known by.
var empty = wordList(`how what why when where which you your they their one real case clear specific concrete example examples
	way ways thing things something answer question describe explain show give use used using make made take taken lot help
	role company team teams work job experience approach time good best different based particular own also`)

func wordList(list string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}

// phrase gives each claim its phrases: what it is about, its examples, the
// clauses of the sample answer that speak of it, and, for want of others, the
// same thing said in another way. poor are the claims, by index, that were in
// want.
func phrase(claims []claim, question, sample string) (phrases [][]string, poor []int) {
	phrases = make([][]string, len(claims))
	asked := content(question)
	wanted, others := make([]map[string]bool, len(claims)), make([]map[string]bool, len(claims))
	for i, c := range claims {
		wanted[i] = content(c.about + " " + strings.Join(c.examples, " "))
		others[i] = content(strings.Join(sayings(c), " "))
	}
	// A stem that many claims share tells little of any.
	share := make(map[string]int)
	for _, w := range wanted {
		for s := range w {
			share[s]++
		}
	}
	type match struct {
		clause, claim int
		score         float64
	}
	clauses := clausesIn(sample)
	var matches []match
	for k, clause := range clauses {
		has := content(clause)
		for i := range claims {
			if claims[i].signal != "" && claims[i].signal != rubric.Prioritised {
				continue
			}
			score := 0.0
			for s := range wanted[i] {
				near := closest(s, has)
				if asked[s] {
					near *= 0.5
				}
				score += near / float64(share[s])
			}
			kin := 0.0
			for s := range has {
				if others[i][s] && !wanted[i][s] {
					kin += 0.25
				}
			}
			score += min(kin, 0.5)
			if score >= enough {
				matches = append(matches, match{k, i, score})
			}
		}
	}
	slices.SortStableFunc(matches, func(a, b match) int { return cmp.Compare(b.score, a.score) })
	taken := make(map[int]bool)
	count := make([]int, len(claims))
	for _, m := range matches {
		if taken[m.clause] || count[m.claim] == fromSample {
			continue
		}
		taken[m.clause] = true
		count[m.claim]++
		phrases[m.claim] = append(phrases[m.claim], clauses[m.clause])
	}
	seen := make(map[string]bool)
	for i, c := range claims {
		matched := phrases[i]
		if c.opening {
			matched = append(clausesIn(firstSentence(sample)), "it happened at my last job", "the situation was that")
		}
		phrases[i] = nil
		if c.signal != "" && c.signal != rubric.Prioritised {
			continue // a detector takes their place
		}
		// A lone word would be met by anything that mentions it.
		about := first(c.about)
		for _, p := range slices.Concat([]string{about}, c.examples, matched, sayings(c)) {
			if len(strings.Fields(p)) > 1 || len(c.examples) > 0 && p != about {
				phrases[i] = add(phrases[i], p, seen)
			}
		}
		if len(phrases[i]) < fewestPhrases {
			poor = append(poor, i)
		}
		for _, p := range variants(c) {
			if len(phrases[i]) >= fewestPhrases {
				break
			}
			phrases[i] = add(phrases[i], p, seen)
		}
	}
	return phrases, poor
}

func firstSentence(of string) string {
	for s := range sentences(of) {
		return s
	}
	return ""
}

// add appends a phrase that no criterion has yet.
func add(to []string, p string, seen map[string]bool) []string {
	p = strings.Trim(strings.Join(strings.Fields(p), " "), ` .,;:"`)
	key := strings.ToLower(p)
	if p == "" || len(p) > rubric.MaxPhrase || seen[key] || len(text.Parse(p).Tokens) == 0 {
		return to
	}
	seen[key] = true
	return append(to, p)
}

// closest is how near the nearest word comes to a stem: 1 for the stem itself,
// less for one that begins alike.
func closest(stem string, in map[string]bool) float64 {
	if in[stem] {
		return 1
	}
	const alike = 5
	if len(stem) < alike {
		return 0
	}
	for s := range in {
		if len(s) >= alike && s[:alike] == stem[:alike] {
			return 0.8
		}
	}
	return 0
}

var nounPhrase = regexp.MustCompile(`(?i)^(?:an?|the|my|your)\s+`)

// variants say what a claim is about in other ways. They add little to it, and
// are there for a person to write over.
func variants(c claim) []string {
	about := first(c.about)
	thing := nounPhrase.ReplaceAllString(about, "")
	deed, told := strings.CutPrefix(thing, "I ")
	switch {
	case told && isPast(deed):
		return []string{"we " + deed, "what we did was that we " + deed, "together we " + deed}
	case told || wordHow.MatchString(c.about) || opensWithVerb(thing) && !isPast(thing):
		verb, rest, _ := strings.Cut(deed, " ")
		if baseVerbs[strings.ToLower(verb)] {
			return []string{"we " + deed, "my way to " + deed, gerund(verb) + " " + rest}
		}
		return []string{deed, "the point is " + deed, "by this I mean " + deed}
	}
	return []string{"my approach to " + thing, "how I handle " + thing, "when it comes to " + thing, "what matters in " + thing}
}

// gerund is the -ing form of a verb.
func gerund(v string) string {
	switch {
	case strings.HasSuffix(v, "ee"), strings.HasSuffix(v, "ye"):
		return v + "ing"
	case strings.HasSuffix(v, "ie"):
		return v[:len(v)-2] + "ying"
	case strings.HasSuffix(v, "e"):
		return v[:len(v)-1] + "ing"
	case doubled.MatchString(v):
		return v + v[len(v)-1:] + "ing"
	}
	return v + "ing"
}
