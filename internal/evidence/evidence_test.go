package evidence_test

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/evidence"
)

func TestFind(t *testing.T) {
	t.Parallel()
	const answer = "We don't rush: canary releases take 5% of traffic for 15 minutes.\n\nThe “old” version stays up, on C++ and k8s; " +
		"synchronous replication isn’t used. Cafe\u0301 owners said: caution 👩‍💻 first. 満点です"
	for name, c := range map[string]struct {
		quote, text string
		match       evidence.Match
	}{
		"as it stands":                      {"canary releases", "canary releases", evidence.Exact},
		"other case and spaces":             {"  CANARY\n  releases ", "canary releases", evidence.Exact},
		"straight quotes":                   {`the "old" version`, "The “old” version", evidence.Exact},
		"over a line end":                   {`minutes. the 'old'`, "minutes.\n\nThe “old", evidence.Fuzzy},
		"with quote marks around it":        {`"version stays up."`, "version stays up", evidence.Exact},
		"with marks around it":              {`“version stays up...”`, "version stays up", evidence.Exact},
		"a number":                          {"15", "15", evidence.Exact},
		"a number within a number":          {"5 minutes", "", ""},
		"another number":                    {"canary releases take 6% of traffic for 15 minutes", "", ""},
		"a word within a word":              {"nary", "canary", evidence.Exact},
		"a short word within a word":        {"ana", "", ""},
		"part of a tech token":              {"C", "", ""},
		"a word cut short":                  {"ersion stays u", "version stays up", evidence.Exact},
		"a negation cut off":                {"We do", "We don't", evidence.Exact},
		"only the not":                      {"n't rush", "don't rush", evidence.Exact},
		"a negation left out":               {"canary releases take 5% of traffic; synchronous replication is used", "", ""},
		"a negation left out of one":        {"synchronous replication is used", "", ""},
		"a prefix that turns it round":      {"asynchronous replication isn't used", "", ""},
		"a function word changed":           {"canary releases take 5% of the traffic for 15 minutes", "canary releases take 5% of traffic for 15 minutes", evidence.Fuzzy},
		"a slip of the pen":                 {"canary relaeses take 5% of traffic", "canary releases take 5% of traffic", evidence.Fuzzy},
		"another form":                      {"the old versions stay up on C++", "The “old” version stays up, on C++", evidence.Fuzzy},
		"a word changed in a short quote":   {"canary deploys take 5%", "", ""},
		"words left out, marked":            {"canary releases take … for 15 minutes", "canary releases take", evidence.Exact},
		"an invented part":                  {"canary releases take … for nine months", "", ""},
		"decomposed letters":                {"café owners", "Cafe\u0301 owners", evidence.Exact},
		"half an emoji":                     {"👩", "👩‍💻", evidence.Exact},
		"letters that are words":            {"満点", "満点", evidence.Exact},
		"nothing":                           {"  ", "", ""},
		"only signs":                        {"...", "", ""},
		"invented":                          {"we page the on-call engineer", "", ""},
		"the answer over again, many times": {strings.Repeat(answer, 30), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, ok := evidence.Prepare(answer).Find(c.quote)
			require.Equal(t, c.text != "", ok, "%q", q.Text)
			require.Equal(t, c.text, q.Text)
			require.Equal(t, c.match, q.Match)
			if ok {
				require.Equal(t, q.Text, string([]rune(answer)[q.Start:q.End]))
			}
		})
	}
}

func TestFindPrefersWholeWords(t *testing.T) {
	t.Parallel()
	q, ok := evidence.Prepare("uncertain times, certain death").Find("certain")
	require.True(t, ok)
	require.Equal(t, evidence.Quote{Text: "certain", Start: 17, End: 24, Match: evidence.Exact}, q)
}

func TestAHeapOfMarksIsSearchedOnce(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{"marks on one letter": "\u0301", "joined emoji": "👩\u200d"} {
		answer := "e" + strings.Repeat(unit, 20_000/utf8.RuneCountInString(unit))
		a := evidence.Prepare(answer)
		start := time.Now()
		for range 4 {
			a.Find(strings.Repeat(unit, 5))
		}
		require.Less(t, time.Since(start), 30*time.Second, name) // a walk from every mark takes a minute on an idle machine
	}
	q, ok := evidence.Prepare("xab ab ab").Find("ab ab")
	require.True(t, ok)
	require.Equal(t, 4, q.Start, "a place within one that was widened is still looked at")
}

// mangle changes how a text is spelt, not what it says.
func mangle(t *rapid.T, s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			b.WriteString(rapid.SampledFrom([]string{" ", "\n", " \t ", "\u00a0"}).Draw(t, "space"))
		case r == '\'':
			b.WriteRune(rapid.SampledFrom([]rune("'’ʼ")).Draw(t, "apostrophe"))
		case r == '-':
			b.WriteRune(rapid.SampledFrom([]rune("-–‑")).Draw(t, "dash"))
		case rapid.Bool().Draw(t, "upper"):
			b.WriteRune(unicode.ToUpper(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func TestAnyWordsOfTheAnswerAreFound(t *testing.T) {
	t.Parallel()
	word := rapid.SampledFrom(strings.Fields("we don't ship on Friday, ever; zero-downtime p99 C++ 99.9% naïve Größe القاهرة roll-back (twice) it's 満点 5 15"))
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(word, 1, 25).Draw(t, "words")
		answer := strings.Join(list, " ")
		from := rapid.IntRange(0, len(list)-1).Draw(t, "from")
		to := rapid.IntRange(from+1, len(list)).Draw(t, "to")
		want := strings.Join(list[from:to], " ")
		q, ok := evidence.Prepare(answer).Find(mangle(t, want))
		require.True(t, ok)
		require.Equal(t, evidence.Exact, q.Match)
		require.Equal(t, q.Text, string([]rune(answer)[q.Start:q.End]))
		require.True(t, strings.EqualFold(want, q.Text) || strings.Contains(q.Text, want), "%q in %q", want, q.Text)
	})
}

func FuzzFind(f *testing.F) {
	f.Add("We don't ship", "ship")
	f.Add("e\u0301👩‍💻 \u202eabc", "é")
	f.Add("1,000 of 15 … n't", "000")
	f.Add("\u0301a\u200d\u200d", "a")
	f.Fuzz(func(t *testing.T, answer, quote string) {
		a := evidence.Prepare(answer)
		ref := evidence.NewReference(evidence.ReferenceTexts{Question: quote, Guidance: answer, Sample: quote + answer})
		in := evidence.Inspect(a, ref)
		require.NotNil(t, in.Flags)
		require.NotNil(t, in.Spans)
		n, last := a.Doc().Len(), 0
		for _, s := range in.Spans {
			require.True(t, last <= s.Start && s.Start < s.End && s.End <= n)
			require.True(t, in.Has(s.Flag))
			last = s.Start
		}
		if q, ok := a.Find(quote); ok {
			require.True(t, 0 <= q.Start && q.Start < q.End && q.End <= n)
			require.Equal(t, a.Doc().Slice(q.Start, q.End), q.Text)
		}
		kept, _ := evidence.Verify(a, ref, in, []string{quote, answer, quote})
		require.NotNil(t, kept)
		require.LessOrEqual(t, len(kept), 3)
		_ = a.Blank()
		require.Len(t, ref.StuffedSentences(a), len(a.Doc().Sentences))
		share := ref.CopiedShare(a)
		require.True(t, share >= 0 && share <= 1)
		evidence.NewAnchors(evidence.ReferenceTexts{Question: answer}, quote).Touch(answer)
	})
}
