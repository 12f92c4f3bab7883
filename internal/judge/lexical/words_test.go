package lexical

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

func TestLikenessOfWords(t *testing.T) {
	t.Parallel()
	alike := func(a, b string) float64 {
		x, y := newSpelling(a), newSpelling(b)
		return letters(&x, &y)
	}
	tests := []struct {
		a, b        string
		least, most float64
		because     string
	}{
		{"certificate", "certificat", 0.85, 0.95, "a letter is missing"},
		{"postmortem", "postmrotem", 0.85, 0.95, "two letters changed places"},
		{"observability", "observable", 0.6, 0.85, "they share their beginning"},
		{"deploy", "employ", 0, 0, "a typing error does not change the first letter"},
		{"hard", "hardest", 0.85, 0.85, "one is the superlative of the other"},
		{"back", "backup", 0, 0, "a short word begins many others"},
		{"slo", "sla", 0, 0, "short words must be equal"},
		{"queue", "bridge", 0, 0, "nothing is alike"},
		{"straße", "strasse", 0, 0, "only ASCII letters are compared"},
	}
	for _, tt := range tests {
		got := alike(tt.a, tt.b)
		require.Equal(t, got, alike(tt.b, tt.a), "%s and %s: symmetric", tt.a, tt.b)
		require.GreaterOrEqual(t, got, tt.least, "%s and %s: %s", tt.a, tt.b, tt.because)
		require.LessOrEqual(t, got, tt.most, "%s and %s: %s", tt.a, tt.b, tt.because)
	}
}

// TestTheSieveLosesNoLikeness compares resemble, which passes over most terms
// by a sieve, with a look at every term.
func TestTheSieveLosesNoLikeness(t *testing.T) {
	t.Parallel()
	letter := rapid.OneOf(rapid.StringMatching(`[a-e]{4,9}`), rapid.SampledFrom(strings.Fields(
		`hard harder hardest place plane planet plan plate deploy deploi deplo replic replica monitor monitr depend independ topic tropic`)))
	rapid.Check(t, func(t *rapid.T) {
		v := newVocabulary(&bankStats{df: map[string]int{}})
		words := rapid.SliceOfNDistinct(letter, 1, 20, rapid.ID[string]).Draw(t, "terms")
		for _, w := range words {
			v.add(w, 1, 1, nil)
		}
		stem := letter.Draw(t, "word")
		got := map[int32]float64{}
		for _, h := range v.resemble(nil, &unit{key: stem, class: text.Content, tokens: 1}) {
			got[h.term] = h.sim
		}
		x := newSpelling(stem)
		for i := range v.terms {
			want := letters(&x, &v.terms[i].spell)
			if v.terms[i].key == stem {
				want = 1
			}
			require.InDelta(t, want, got[int32(i)], 1e-9, "%s and %s", stem, v.terms[i].key)
		}
	})
}

func TestAWordOfEnglishIsNoSlipOfAnother(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{"place", "plane"}, {"light", "night"}, {"depend", "independ"}, {"topic", "tropic"}} {
		a, b := newSpelling(pair[0]), newSpelling(pair[1])
		require.Zero(t, letters(&a, &b), pair)
	}
	slip, word := newSpelling("circut"), newSpelling("circuit")
	require.InDelta(t, oneTypo, letters(&slip, &word), 0)
	noun, verb := newSpelling("replic"), newSpelling("replica")
	require.Positive(t, letters(&noun, &verb), "derived from each other")
}

func TestWhatANegationReaches(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, denied string }{
		{"We never set up canaries, but we had flags", "set canaries"},
		{"The lamps are no longer connected", "connected"},
		{"We did not deploy on Fridays", "deploy fridays"},
		{"This was not only fast", ""},
		{"It took no longer than a minute", ""},
		{"We use roles instead of shared accounts", "shared accounts"},
		{"I would skip tests", "tests"},
		{"Surveys I don't trust", "surveys trust"},
		{"We told customers nothing", "told customers"},
		{"We had backups. I would not touch any of it now.", "had backups touch any now"},
		{"Nobody was blamed; the review was calm", "blamed"},
		{"The old image was never kept", "old image kept"},
	}
	for _, tt := range tests {
		doc := text.Parse(tt.text)
		marks := negations(nil, doc, false)
		wanted := map[string]bool{}
		for _, w := range strings.Fields(tt.denied) {
			wanted[w] = true
		}
		for i := range doc.Tokens {
			if tok := &doc.Tokens[i]; tok.Class != text.Function && !tok.Negator {
				require.Equal(t, wanted[tok.Norm], marks[i], "%q: %s", tt.text, tok.Norm)
			}
		}
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		signal      rubric.Signal
		answer      string
		least, most float64
	}{
		{rubric.Quantified, "Recovery time fell from 40 minutes to 6.", 1, 1},
		{rubric.Quantified, "We saved €12,000 a month.", 1, 1},
		{rubric.Quantified, "It runs on 40% of the nodes.", 0.5, 0.7},
		{rubric.Quantified, "The bill went down a lot.", 0, 0},
		{rubric.Quantified, "In 2023 we met every 20 minutes.", 0, 0},
		{rubric.Quantified, "1. We reduced the load.", 0, 0},
		{rubric.OwnActions, "I wrote the plan and I called the vendor.", 1, 1},
		{rubric.OwnActions, "I wrote the plan.", 0.5, 0.5},
		{rubric.OwnActions, "We wrote the plan and they called the vendor.", 0, 0},
		{rubric.OwnActions, "I would write a plan and I could call the vendor.", 0, 0},
		{rubric.PastEvent, "Last year our database crashed.", 1, 1},
		{rubric.PastEvent, "A database can crash.", 0, 0},
		{rubric.PastEvent, "I would fix it as I did last year.", 0, 0},
		{rubric.Prioritised, "First I listen, then I build, later I harden.", 0.9, 1},
		{rubric.Prioritised, "I listen and build and harden.", 0, 0},
	}
	for _, tt := range tests {
		doc := text.Parse(tt.answer)
		got := detect(tt.signal, doc, []row{{first: 0, last: len(doc.Sentences)}}).strength
		require.GreaterOrEqual(t, got, tt.least, "%s: %q", tt.signal, tt.answer)
		require.LessOrEqual(t, got, tt.most, "%s: %q", tt.signal, tt.answer)
	}
}

func TestConceptsBridgeWords(t *testing.T) {
	t.Parallel()
	q := inline(t, "How did you organise the incident?", "Names a scribe and a commander")
	require.True(t, finding(t, q, "c1", "One of us was note taker, another the incident lead.").Verdict.Credited())
	q = inline(t, "What did she do?", "She saw the mosquito")
	require.True(t, finding(t, q, "c1", "She sees a mosquito").Verdict.Credited(), "irregular forms are one word")
}

func TestEveryConceptClassIsSound(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for line := range dataLines(lexiconText) {
		name, members, found := strings.Cut(line, ":")
		require.True(t, found, line)
		require.False(t, names[name], "class %s stands twice", name)
		names[name] = true
		seen := map[string]bool{}
		for m := range strings.SplitSeq(members, ",") {
			key := strings.TrimSpace(m)
			require.NotEmpty(t, stemsOf(m), "an empty member of %s", name)
			require.False(t, seen[key], "%s stands twice in %s", key, name)
			seen[key] = true
		}
		require.Greater(t, len(seen), 1, "class %s has one member", name)
	}
	require.GreaterOrEqual(t, len(names), 150)
	for line := range dataLines(antonymText) {
		require.Equal(t, 1, strings.Count(line, "|"), line)
	}
	for line := range dataLines(irregularText) {
		require.Equal(t, 1, strings.Count(line, ":"), line)
	}
}

func TestLongerEntriesComeFirst(t *testing.T) {
	t.Parallel()
	doc := text.Parse("the load balancer is healthy")
	l := parseLexicon("a: load balancer is, x y\nb: load balancer, z", "", "")
	require.Equal(t, 3, len(l.find(doc.Tokens[1:]).stems))
	require.Nil(t, l.find(doc.Tokens[2:]))
}

func TestTheTableKnowsHowRareWordsAre(t *testing.T) {
	t.Parallel()
	f := frequencies()
	require.Greater(t, f.zipf("work"), f.zipf("deploy"))
	require.Greater(t, f.zipf("deploy"), f.zipf("postmortem"))
	require.Equal(t, unknownZipf, f.zipf("kubernetesque"))
	require.Equal(t, unknownZipf, f.zipf(""))
}

func TestAlternativesOfAStatement(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"Names a cause"}, alternatives("Names a cause"))
	require.Contains(t, alternatives("Mentions one of:\n* the slope is smooth OR\n* gravity alone does work"), "gravity alone does work")
	require.Contains(t, alternatives("States F = ma, or that force is mass times acceleration"), " force is mass times acceleration")
}

// TestManyShortLinesStayCheap holds the memory bound of rows: 6,000 sentences
// must not cost 6,000 rows.
func TestManyShortLinesStayCheap(t *testing.T) {
	t.Parallel()
	q := incident(t)
	answer := strings.Repeat("disk full\nno page\nx\n", 1000)
	start := time.Now()
	findings := judged(t, New(), q, answer)
	require.Less(t, time.Since(start), 5*time.Second)
	for _, f := range findings {
		requireSound(t, q, f, answer)
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	c := compile(q)
	s.read(c, text.Parse(strings.Repeat("disk full\nstatus page\n", 3000)), nil)
	require.LessOrEqual(t, len(s.rows), mostRows)
	require.Equal(t, 6000, s.rows[len(s.rows)-1].last, "nothing is dropped")
}
