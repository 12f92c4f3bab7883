package lexical

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// bankText is a fixed collection of short texts, one a line: what it is, a tab
// and the text. A "question" begins a topic and is followed by its "guidance",
// a good "answer", and what a grader looks for: a "criterion" (and in brackets
// its signal, if any) with the "phrase"s that say it in other words. Whole sets
// may come and go; document frequencies, the anchors of off-topic answers and
// what bare criteria borrow come from here, so that a grade depends on nothing
// that is loaded.
//
//go:embed data/bank.txt
var bankText string

// bankVersion names the bank in the judge's fingerprint.
const bankVersion = "bank-2"

// bankStats is how many documents of the bank contain a stem.
type bankStats struct {
	docs int
	df   map[string]int
}

// bank is the parsed collection.
type bank struct {
	stats  bankStats
	topics []topic
}

// topic is a question of the bank and what is known of good answers to it.
type topic struct {
	answer *text.Doc
	// stems counts the content words of all its texts.
	stems    map[string]int
	criteria []known
}

// known is a criterion of the bank.
type known struct {
	signal rubric.Signal
	// doc has the statement and the phrases, a sentence each.
	doc *text.Doc
}

var theBank = sync.OnceValue(func() *bank {
	b := &bank{stats: bankStats{df: map[string]int{}}}
	var texts []string // of the criterion being read
	finish := func() {
		if len(texts) > 0 {
			criteria := b.topics[len(b.topics)-1].criteria
			criteria[len(criteria)-1].doc = text.Parse(strings.Join(texts, ".\n"))
		}
		texts = nil
	}
	for line := range dataLines(bankText) {
		kind, body, _ := strings.Cut(line, "\t")
		if kind != "phrase" {
			finish()
		}
		if kind == "question" {
			b.topics = append(b.topics, topic{stems: map[string]int{}})
		}
		t := &b.topics[len(b.topics)-1]
		if kind == "criterion" || kind == "phrase" {
			if signal, statement, found := strings.Cut(body, "] "); found && body[0] == '[' {
				t.criteria = append(t.criteria, known{signal: rubric.Signal(signal[1:])})
				body = statement
			} else if kind == "criterion" {
				t.criteria = append(t.criteria, known{})
			}
			texts = append(texts, body)
		}
		doc := text.Parse(body)
		seen := map[string]bool{}
		for i := range doc.Tokens {
			if k := &doc.Tokens[i]; k.Class != text.Function {
				t.stems[k.Stem]++
				seen[k.Stem] = true
			}
		}
		switch kind {
		case "criterion", "phrase":
			continue
		case "answer":
			t.answer = doc
		}
		b.stats.docs++
		for stem := range seen {
			b.stats.df[stem]++
		}
	}
	finish()
	return b
})
