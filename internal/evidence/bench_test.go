package evidence_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/evidence"
)

// usual is an answer of about 150 words.
const usual = `Releases leave the default branch four or five times before lunch, which only works because nothing about them is exciting. A
change is compiled, checked by the linter and exercised by the unit suite in about eight minutes; what comes out is a container that nobody rebuilds
later. The test cluster receives that container and a handful of journeys are clicked through by a robot. Production follows in slices: first 3% of
requests, and after a quarter of an hour without new errors or a worse p95, the other 97%. A worse number sends the slice home without anyone touching a
keyboard, and whoever is on call owns a big red switch for the rest. Tables change in a widening step and a narrowing step, weeks apart, hence the
previous build never meets a table it cannot read. In March this stopped a leak that would have reached 60,000 shoppers. With more squads we will turn the
recipe into a shared module with version numbers, and put changes in a line instead of letting them race.`

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
// points), made to be slow: the cost of Prepare, Inspect, a search that fails
// and a search that has a place at every turn.
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
		"one letter": "\u0301",
		"one emoji":  "👩\u200d",
		"usual":      usual + " ",
	} {
		answer := strings.Repeat(unit, longest/utf8.RuneCountInString(unit))
		ref := evidence.NewReference(usualTexts)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				a := evidence.Prepare(answer)
				evidence.Inspect(a, ref)
				a.Find(quote)
				a.Find(unit)
				a.Blank()
			}
		})
	}
}
