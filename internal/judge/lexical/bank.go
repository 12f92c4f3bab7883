package lexical

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/gradus-ai/gradus/internal/text"
)

// bankText is a fixed collection of short texts, one a line: "question", a tab
// and a question, or "answer", a tab and a good answer to some question. Whole
// sets may come and go; document frequencies and the anchors of off-topic
// answers come from here, so that a grade depends on nothing that is loaded.
//
//go:embed data/bank.txt
var bankText string

// bankVersion names the bank in the judge's fingerprint.
const bankVersion = "bank-1"

// bankStats is how many documents of the bank contain a stem.
type bankStats struct {
	docs int
	df   map[string]int
}

// bank is the parsed collection.
type bank struct {
	stats   bankStats
	answers []*text.Doc
}

var theBank = sync.OnceValue(func() *bank {
	b := &bank{stats: bankStats{df: map[string]int{}}}
	for line := range dataLines(bankText) {
		kind, body, _ := strings.Cut(line, "\t")
		doc := text.Parse(body)
		seen := map[string]bool{}
		for i := range doc.Tokens {
			if t := &doc.Tokens[i]; t.Class != text.Function && !seen[t.Stem] {
				seen[t.Stem] = true
				b.stats.df[t.Stem]++
			}
		}
		b.stats.docs++
		if kind == "answer" {
			b.answers = append(b.answers, doc)
		}
	}
	return b
})
