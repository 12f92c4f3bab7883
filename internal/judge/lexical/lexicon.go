package lexical

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/gradus-ai/gradus/internal/text"
)

// lexiconText lists concept classes, one a line: "name: member, member, …".
// Members mean nearly the same in talk about building and running software;
// a member of several words is looked for before single words. antonymText
// lists pairs of opposites. Both are our own work; data/NOTICE says so.
//
//go:embed data/lexicon.txt
var lexiconText string

//go:embed data/antonyms.txt
var antonymText string

// irregularText lists irregular forms, one word a line: "base: form, form".
//
//go:embed data/irregular.txt
var irregularText string

// lexiconVersion names both lists in the judge's fingerprint.
const lexiconVersion = "concepts-1"

// lexicon is the parsed lists. Words are stems.
type lexicon struct {
	// classes of single words.
	classes map[string][]int32
	// entries of several words by their first stem, longest first.
	entries map[string][]entry
	// opposites of single words.
	opposites map[string][]string
	// forms are the other forms of irregular words.
	forms map[string][]string
	names []string
}

// entry is a member of several words.
type entry struct {
	key     string   // its stems, joined by spaces
	stems   []string // all of them, function words too
	classes []int32
}

var concepts = sync.OnceValue(func() *lexicon { return parseLexicon(lexiconText, antonymText, irregularText) })

func parseLexicon(classes, antonyms, irregular string) *lexicon {
	l := &lexicon{
		classes: map[string][]int32{}, entries: map[string][]entry{},
		opposites: map[string][]string{}, forms: map[string][]string{},
	}
	keys := map[string]*entry{}
	var order []string
	for line := range dataLines(classes) {
		name, members, _ := strings.Cut(line, ":")
		class := int32(len(l.names))
		l.names = append(l.names, name)
		for member := range strings.SplitSeq(members, ",") {
			stems := stemsOf(member)
			switch len(stems) {
			case 0:
			case 1:
				if !slices.Contains(l.classes[stems[0]], class) {
					l.classes[stems[0]] = append(l.classes[stems[0]], class)
				}
			default:
				key := strings.Join(stems, " ")
				e := keys[key]
				if e == nil {
					e = &entry{key: key, stems: stems}
					keys[key] = e
					order = append(order, key)
				}
				e.classes = append(e.classes, class)
			}
		}
	}
	for _, key := range order {
		first := keys[key].stems[0]
		l.entries[first] = append(l.entries[first], *keys[key])
	}
	for _, entries := range l.entries {
		slices.SortStableFunc(entries, func(a, b entry) int { return len(b.stems) - len(a.stems) })
	}
	for line := range dataLines(antonyms) {
		left, right, _ := strings.Cut(line, "|")
		for a := range strings.SplitSeq(left, ",") {
			for b := range strings.SplitSeq(right, ",") {
				link(l.opposites, stemsOf(a)[0], stemsOf(b)[0])
			}
		}
	}
	for line := range dataLines(irregular) {
		base, forms, _ := strings.Cut(line, ":")
		family := append(stemsOf(forms), stemsOf(base)[0])
		for i, a := range family {
			for _, b := range family[:i] {
				link(l.forms, a, b)
			}
		}
	}
	return l
}

// link enters a pair both ways.
func link(pairs map[string][]string, a, b string) {
	if a != b {
		pairs[a] = append(pairs[a], b)
		pairs[b] = append(pairs[b], a)
	}
}

// find returns the longest entry that begins with the first of the tokens.
func (l *lexicon) find(tokens []text.Token) *entry {
	entries := l.entries[tokens[0].Stem]
next:
	for i := range entries {
		e := &entries[i]
		if len(e.stems) > len(tokens) {
			continue
		}
		for j, s := range e.stems[1:] {
			if tokens[j+1].Stem != s || tokens[j+1].Sentence != tokens[0].Sentence {
				continue next
			}
		}
		return e
	}
	return nil
}

// stemsOf are the stems of a short text, function words too.
func stemsOf(s string) []string {
	doc := text.Parse(s)
	stems := make([]string, len(doc.Tokens))
	for i := range doc.Tokens {
		stems[i] = doc.Tokens[i].Stem
	}
	return stems
}

// dataLines yields the lines of an embedded list without comments and blanks.
func dataLines(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(s) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			if !yield(line) {
				return
			}
		}
	}
}
