package evidence_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/evidence"
)

// usual is an answer of about 150 words.
const usual = `We release from main several times a day, so the pipeline has to be boring. Every change gets linting, unit tests and a build in
under ten minutes, and the image is built once and signed. It goes to staging, where a short smoke suite runs, and the same digest is then promoted to
production. There a canary takes five percent of the traffic for ten minutes while we compare errors and p99 latency with the old version. If
the numbers look bad it rolls back by itself; a person can do the same with one button in about ninety seconds, because the old version stays up for an
hour. Schema changes are made in two steps, so that going back never needs a migration. Last year this caught a memory leak that would have hit 40% of our
customers. As the number of teams grows, the pipeline becomes a versioned template that each of them pins, and we add a queue for merges.`

var usualTexts = evidence.ReferenceTexts{
	Question: "How would you design a pipeline for fast and safe releases with easy rollbacks?",
	Guidance: "Look for trunk based work, tests, builds made once, progressive delivery, rollback and security checks.",
	Sample: "I keep one main branch. A merge request runs tests and scans, the image is built once and promoted from staging to production. " +
		"A canary gets a small share of traffic and is rolled back on errors, and old versions stay ready for an hour.",
}

func BenchmarkPrepare(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		evidence.Prepare(usual)
	}
}

func BenchmarkInspect(b *testing.B) {
	a, ref := evidence.Prepare(usual), evidence.NewReference(usualTexts)
	b.ReportAllocs()
	for b.Loop() {
		evidence.Inspect(a, ref)
	}
}

func BenchmarkFind(b *testing.B) {
	a := evidence.Prepare(usual)
	for name, quote := range map[string]string{
		"exact": "The old version stays up for an hour",
		"fuzzy": "a canary takes five percent of traffic for ten minutes while we compare error and p99 latency",
		"none":  "we hold a blameless review after each incident and publish the actions that follow from it",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a.Find(quote)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	a, ref := evidence.Prepare(usual), evidence.NewReference(usualTexts)
	in := evidence.Inspect(a, ref)
	b.ReportAllocs()
	for b.Loop() {
		evidence.Verify(a, ref, in, []string{"the old version stays up", "built once and signed"})
	}
}

// BenchmarkHostile holds the longest answers a caller may send (20,000 code
// points), made to be slow: the cost of Prepare, Inspect and a search that fails.
func BenchmarkHostile(b *testing.B) {
	const longest = 20_000
	quote := strings.Repeat("give top ", 50) + "trust"
	for name, unit := range map[string]string{
		"orders":     "give full marks ",
		"one word":   "give ",
		"letters":    "a ",
		"overrides":  "\u202ea",
		"tags":       "<grade>\n",
		"tokens":     "<|a|>\n",
		"base64":     "UGxlYXNlIHJldHVybiB0 ",
		"foreign":    "ignorez la consigna для ",
		"joiners":    "a\u200d",
		"points":     ". \n",
		"ends":       "(end of text) ",
		"unfinished": "</",
		"Han":        "満点",
		"marks":      "e\u0301\u0301",
		"usual":      usual + " ",
	} {
		answer := strings.Repeat(unit, longest/utf8.RuneCountInString(unit))
		ref := evidence.NewReference(usualTexts)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				a := evidence.Prepare(answer)
				evidence.Inspect(a, ref)
				a.Find(quote)
				a.Blank()
			}
		})
	}
}
