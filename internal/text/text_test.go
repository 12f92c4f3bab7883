package text_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/text"
)

func norms(d *text.Doc) string {
	var out []string
	for _, t := range d.Tokens {
		out = append(out, t.Norm)
	}
	return strings.Join(out, " ")
}

func TestParseFindsWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ source, words string }{
		"negations are words":        {"I don't, can’t, won't and cannot stop; isn't it", "i do not can not will not and can not stop is not it"},
		"careless contractions":      {"it didnt and cant", "it did not and can not"},
		"clitics and possessives":    {"the team's plan we'll ship, they've O'Brien", "the team plan we ship they o'brien"},
		"tech tokens":                {"C++ C# .NET ASP.NET node.js CI/CD p99 k8s SLO S3 mTLS v1.2.3", "c++ c# .net asp.net node.js ci/cd p99 k8s slo s3 mtls v1.2.3"},
		"pairs, hyphenated or not":   {"blue-green, Blue/Green and A/B", "blue/green blue/green and a/b"},
		"other slashes split":        {"and/or read/write", "and or read write"},
		"hyphens split":              {"end-to-end zero‑downtime", "end to end zero downtime"},
		"numbers":                    {"1,000 reqs at 99.9%, 3.5 or 12/3 in 500ms, 1,2", "1000 reqs at 99.9% 3.5 or 12 3 in 500 ms 1 2"},
		"digits of other scripts":    {"٤٢ and ４２", "42 and 42"},
		"half and square":            {"½ m²", "1/2 m2"},
		"compatibility forms":        {"ﬁne ＴＣＰ", "fine tcp"},
		"decomposed letters":         {"cafe\u0301", "café"},
		"hidden characters go":       {"co\u200bst\u00ad \u2060x", "cost x"},
		"Arabic and Hebrew":          {"القاهرة פריז", "القاهرة פריז"},
		"letters of Han are words":   {"満点を", "満 点 を"},
		"emoji are not words":        {"🔥🚨 because 👩‍💻", "because"},
		"bytes that are no text":     {"a\xffb \xfe", "a b"},
		"dotted abbreviations":       {"e.g. the U.S. Army", "e.g the u.s army"},
		"a formula":                  {"=> F = ma, a = 4 m/s^2", "f ma a 4 m s 2"},
		"nothing":                    {" \n\t…", ""},
		"an apostrophe is no word":   {"'quoted' ' words'", "quoted words"},
		"snake case splits":          {"error_budget", "error budget"},
		"a clitic of its own length": {"n't", "n't"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.words, norms(text.Parse(c.source)))
		})
	}
}

func TestParseFindsSentences(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source string
		want   []string
	}{
		"marks":              {"One. Two! Three? Four; five", []string{"One.", "Two!", "Three?", "Four;", "five"}},
		"closing signs":      {`He said "stop." (Twice.) Then left.`, []string{`He said "stop."`, "(Twice.)", "Then left."}},
		"abbreviations":      {"Use caches, e.g. Redis, etc. in Dr. Smith's U.S. office vs. here.", []string{"Use caches, e.g. Redis, etc. in Dr. Smith's U.S. office vs. here."}},
		"decimals, versions": {"From 1.5 to v2.3.1 in node.js 3. Fine.", []string{"From 1.5 to v2.3.1 in node.js 3.", "Fine."}},
		"initials and hours": {"J. Smith left at 5 p.m. The rest stayed.", []string{"J. Smith left at 5 p.m.", "The rest stayed."}},
		"ellipsis":           {"We tried... and failed... Then won.", []string{"We tried... and failed...", "Then won."}},
		"missing space":      {"it works.Then we ship main.go files", []string{"it works.", "Then we ship main.go files"}},
		"lists":              {"1. Plan\n2. Build\n- test it\n* ship", []string{"1. Plan", "2. Build", "- test it", "* ship"}},
		"bullets in a line":  {"• plan • build", []string{"• plan", "• build"}},
		"wrapped lines": {"This line is wrapped by the width of a page and goes on\nwith small letters.\nNext.",
			[]string{"This line is wrapped by the width of a page and goes on\nwith small letters.", "Next."}},
		"other scripts":          {"満点です。次の文！ كيف؟ نعم", []string{"満点です。", "次の文！", "كيف؟", "نعم"}},
		"signs wait for words":   {"*** one. *** ", []string{"*** one. ***"}},
		"no words, no sentences": {"... !!", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := text.Parse(c.source)
			var got []string
			for _, s := range d.Sentences {
				got = append(got, d.Slice(s.Start, s.End))
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestStemsAndClasses(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]text.Token{
		"Deployments": {Norm: "deployments", Stem: "deploy", Class: text.Content},
		"because":     {Norm: "because", Stem: "becaus", Class: text.Function},
		"Never":       {Norm: "never", Stem: "never", Class: text.Content, Negator: true},
		"99.9%":       {Norm: "99.9%", Stem: "99.9%", Class: text.Number},
		"p99":         {Norm: "p99", Stem: "p99", Class: text.Content},
		"CICD":        {Norm: "cicd", Stem: "ci/cd", Class: text.Content},
		"القاهرة":     {Norm: "القاهرة", Stem: "القاهرة", Class: text.Content},
	} {
		want.End = utf8.RuneCountInString(source)
		d := text.Parse(source)
		require.Len(t, d.Tokens, 1)
		want.Hash = text.Parse(want.Stem).Tokens[0].Hash // of the stem, whatever the word
		require.Equal(t, want, d.Tokens[0])
	}
	run := func(s string) uint64 { return text.RunHash(text.Parse(s).Tokens) }
	require.Equal(t, run("deploying pipelines"), run("Deployed pipeline"))
	require.NotEqual(t, run("pipelines deploy"), run("deploy pipelines"), "order counts")
	require.NotEqual(t, run("deploy"), run("deploy deploy"))
	require.Equal(t, text.Content, text.Parse("without").Tokens[0].Class, "negations carry meaning")
}

func TestFold(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"  The “Old”\n\n release’s  END – ":  `the "old" release's end -`,
		"ＴＣＰ ﬁne ² \u200bx\u00ady\U000E0041": "tcp fine 2 xy",
		"cafe\u0301 CAFÉ":                    "café café",
		"👩‍💻 \u202eabc":                      "👩💻 abc",
		"a\u00a0\u2003b\xffc":                "a b\ufffdc",
		"":                                   "",
	} {
		f := text.Fold(source)
		require.Equal(t, want, f.Text)
	}
	source := "Was für ein ﬁnaler “Test”\u200b, ja"
	f := text.Fold(source)
	at := strings.Index(f.Text, `"test"`)
	start, end := f.Span(at, at+len(`"test"`))
	d := text.Parse(source)
	require.Equal(t, "“Test”", d.Slice(start, end))
}

func TestSliceKeepsToTheSource(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"héllo", "hello"} {
		d := text.Parse(s)
		require.Equal(t, 5, d.Len())
		require.Equal(t, s, d.Slice(-3, 99))
		require.Empty(t, d.Slice(4, 2))
		require.Equal(t, "llo", d.Slice(2, 5))
	}
}

// claims are what everybody who reads a Doc relies on.
func claims(t require.TestingT, s string) {
	d := text.Parse(s)
	require.Equal(t, s, d.Source)
	last := 0
	for i, tok := range d.Tokens {
		require.GreaterOrEqual(t, tok.Start, last, "tokens are in order and do not overlap")
		require.Greater(t, tok.End, tok.Start)
		require.NotEmpty(t, d.Slice(tok.Start, tok.End))
		require.NotEmpty(t, tok.Norm)
		require.NotEmpty(t, tok.Stem)
		last = tok.End
		sentence := d.Sentences[tok.Sentence]
		require.True(t, sentence.First <= i && i < sentence.Last, "a token is in its sentence")
	}
	require.LessOrEqual(t, last, d.Len())
	next, end := 0, 0
	for _, sentence := range d.Sentences {
		require.Equal(t, next, sentence.First, "sentences partition the tokens")
		require.Greater(t, sentence.Last, sentence.First)
		require.GreaterOrEqual(t, sentence.Start, end)
		require.LessOrEqual(t, sentence.Start, d.Tokens[sentence.First].Start)
		require.GreaterOrEqual(t, sentence.End, d.Tokens[sentence.Last-1].End)
		next, end = sentence.Last, sentence.End
	}
	require.Equal(t, len(d.Tokens), next)
	require.LessOrEqual(t, end, d.Len())

	f := text.Fold(s)
	require.True(t, utf8.ValidString(f.Text))
	from, to := 0, 0
	for i := range len(f.Text) {
		start, end := f.Span(i, i+1)
		require.True(t, from <= start && to <= end && start < end && end <= d.Len(), "the map is monotone and inside the source")
		from, to = start, end
	}
	if !strings.ContainsFunc(s, text.Hidden) { // a mark may find a letter once what stood between is gone
		require.Equal(t, f.Text, text.Fold(f.Text).Text, "folding twice is folding once")
	}
}

func TestClaimsHoldForAnyText(t *testing.T) {
	t.Parallel()
	pieces := rapid.SampledFrom([]string{
		"don't", "can’t", "cannot", "ci/cd", ".NET", "C++", "e.g.", "1,000", "99.9%", "U.S.", "word", "Ünïcode", "e\u0301", "ﬁ",
		"\u200b", "\u200d", "👩‍💻", "\xff", "満点", "القاهرة", ".", "…", "\n", "  ", "'", "-", "/", "!", "½", "İ", "ß", "\u3164",
	})
	rapid.Check(t, func(t *rapid.T) {
		claims(t, strings.Join(rapid.SliceOfN(rapid.OneOf(pieces, rapid.String()), 0, 20).Draw(t, "pieces"), ""))
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "I don't know. e.g. CI/CD!", "n't 'n't can't\u200b", "a\xff\u0301\u200db", "1,000.5.%", "..net .net", "İ\u0307ς"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { claims(t, s) })
}

var sample = strings.Repeat("We didn't rush: canary releases take 5% of traffic for ten minutes, and the old version stays up. ", 9)

func BenchmarkParse(b *testing.B) {
	for name, s := range map[string]string{
		"ascii":   sample,
		"quotes":  strings.ReplaceAll(sample, "'", "’"),
		"accents": strings.ReplaceAll(sample, "e", "é"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				text.Parse(s)
			}
		})
	}
}

func BenchmarkFold(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		text.Fold(sample)
	}
}
