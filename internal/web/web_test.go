package web

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"net/http"
	"net/http/httptest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/api"
)

// However evidence and flags overlap, the pieces are the answer, in order, and
// each is marked for exactly the criteria whose evidence covers it.
func TestMarkedAnswerIsTheAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		answer := []rune(rapid.StringOfN(rapid.RuneFrom([]rune("aé漢😀 \n<&\"")), 1, 60, -1).Draw(t, "answer"))
		span := func(label string) (int, int) {
			start := rapid.IntRange(0, len(answer)-1).Draw(t, label+" start")
			return start, rapid.IntRange(start+1, len(answer)).Draw(t, label+" end")
		}
		var passages []passage
		for n := range rapid.IntRange(0, 5).Draw(t, "criteria") {
			start, end := span("passage")
			passages = append(passages, passage{N: n + 1, Kind: rapid.SampledFrom(kinds[1:]).Draw(t, "kind"), start: start, end: end})
		}
		var spans []api.Span
		if rapid.Bool().Draw(t, "flagged") {
			start, end := span("flag")
			spans = append(spans, api.Span{Flag: "hidden_text", Start: start, End: end})
		}
		var text strings.Builder
		at, began, ended := 0, 0, 0
		for _, p := range marked(answer, passages, spans) {
			size := len([]rune(p.Text))
			if size == 0 {
				t.Fatalf("an empty piece")
			}
			var want []string
			for _, e := range passages {
				if e.start <= at && at+size <= e.end {
					want = append(want, number(float64(e.N)))
				} else if e.start < at+size && at < e.end {
					t.Fatalf("passage %d covers half a piece", e.N)
				}
			}
			if got := strings.Fields(p.On); !slices.Equal(got, want) {
				t.Fatalf("piece at %d is marked %v, want %v", at, got, want)
			}
			if (p.Kind == "") != (len(want) == 0) {
				t.Fatalf("piece at %d: kind %q with %v", at, p.Kind, want)
			}
			text.WriteString(p.Text)
			began, ended, at = began+len(p.Starts), ended+len(p.Ends), at+size
		}
		if text.String() != string(answer) {
			t.Fatalf("the pieces are %q", text.String())
		}
		if began != len(passages) || ended != len(passages) {
			t.Fatalf("%d of %d passages begin and %d end", began, len(passages), ended)
		}
	})
}

func TestEvidenceIsFoundWhereItStands(t *testing.T) {
	t.Parallel()
	answer := []rune("zwölf 😀 Männer, zwölf Männer")
	for name, tt := range map[string]struct {
		quote      api.Quote
		start, end int
		ok         bool
	}{
		"where the grade says":          {api.Quote{Quote: "zwölf Männer", Start: 16, End: 28}, 16, 28, true},
		"elsewhere, by its words":       {api.Quote{Quote: "Männer", Start: 0, End: 6}, 8, 14, true},
		"nowhere":                       {api.Quote{Quote: "dreizehn", Start: 0, End: 8}, 0, 0, false},
		"beyond the end, by its words":  {api.Quote{Quote: "zwölf", Start: 90, End: 95}, 0, 5, true},
		"nowhere, with offsets of none": {api.Quote{Quote: "", Start: 3, End: 3}, 0, 0, false},
		"nowhere, before the beginning": {api.Quote{Quote: "x", Start: -1, End: 3}, 0, 0, false},
	} {
		start, end, ok := locate(answer, tt.quote)
		require.Equal(t, tt.ok, ok, name)
		require.Equal(t, []int{tt.start, tt.end}, []int{start, end}, name)
	}
}

// What the service can say has words on the page: flags are listed in package
// api, and verdicts and bands are its constants.
func TestEverythingHasWords(t *testing.T) {
	t.Parallel()
	field, ok := reflect.TypeFor[api.Integrity]().FieldByName("Flags")
	require.True(t, ok)
	for _, flag := range strings.Split(field.Tag.Get("enum"), ",") {
		require.Contains(t, flags, flag)
	}
	field, _ = reflect.TypeFor[api.CriterionGrade]().FieldByName("Verdict")
	for _, verdict := range strings.Split(field.Tag.Get("enum"), ",") {
		require.Contains(t, verdictWords, api.Verdict(verdict))
	}
	field, _ = reflect.TypeFor[api.Grade]().FieldByName("Band")
	for _, band := range strings.Split(field.Tag.Get("enum"), ",") {
		require.Contains(t, bandWords, api.Band(band))
	}
	require.Equal(t, "Something new.", reasonWords("something_new"))
}

func TestSessionIsSealed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	s, err := newSeal([]byte("a secret of some length"), func() time.Time { return now })
	require.NoError(t, err)
	plain := httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost/", nil)
	cookie := s.cookie(plain, "the-key")
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.False(t, cookie.Secure)
	require.NotContains(t, cookie.Value, "the-key")
	require.NotEqual(t, cookie.Value, s.cookie(plain, "the-key").Value, "no two look alike")

	encrypted := httptest.NewRequestWithContext(t.Context(), "GET", "https://gradus.example/", nil)
	require.True(t, s.cookie(encrypted, "k").Secure)
	encrypted = plain.Clone(t.Context())
	encrypted.Header.Set("X-Forwarded-Proto", "https")
	require.True(t, s.cookie(encrypted, "k").Secure)

	read := func(s *seal, value string) string {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: cookieName, Value: value})
		return s.key(r)
	}
	require.Equal(t, "the-key", read(s, cookie.Value))
	require.Empty(t, s.key(plain))
	first := "A"
	if strings.HasPrefix(cookie.Value, first) {
		first = "B"
	}
	for _, value := range []string{"", "x", cookie.Value[:20], cookie.Value + "A", first + cookie.Value[1:], strings.ToUpper(cookie.Value)} {
		require.Empty(t, read(s, value), "somebody else's work")
	}
	other, err := newSeal([]byte("another secret of a length"), s.now)
	require.NoError(t, err)
	require.Empty(t, read(other, cookie.Value))
	now = now.Add(sessionLength)
	require.Empty(t, read(s, cookie.Value), "a week is over")

	_, err = newSeal([]byte("short"), s.now)
	require.Error(t, err)
}

func TestAfterSigningInOneStaysHere(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"/", "/batches", "/sets/a/b?x=1", "/batches/ba_1"} {
		require.Equal(t, next, local(next))
	}
	for _, next := range []string{"", "//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "\t//evil.example", "/\n/evil.example", "evil"} {
		require.Equal(t, "/", local(next), next)
	}
}

func TestChangesAreWorded(t *testing.T) {
	t.Parallel()
	for by, want := range map[float64]change{
		3.5: {"+3.5", "up", "3.5 more than the last time"}, -2: {"−2", "down", "2 less than the last time"},
		0.04: {"±0", "same", "as much as the last time"},
	} {
		require.Equal(t, want, *changed(by))
	}
}

func TestGradesToShowAreOfAGradesSize(t *testing.T) {
	t.Parallel()
	quotes := func(n int) []api.CriterionGrade { return []api.CriterionGrade{{Evidence: make([]api.Quote, n)}} }
	require.False(t, tooMuch(&api.Grade{Criteria: quotes(maxPassages)}))
	require.True(t, tooMuch(&api.Grade{Criteria: quotes(maxPassages), Integrity: api.Integrity{Spans: make([]api.Span, 1)}}))
	require.True(t, tooMuch(&api.Grade{Criteria: make([]api.CriterionGrade, maxShown+1)}))
	require.True(t, tooMuch(&api.Grade{Review: api.Review{Reasons: make([]string, maxShown+1)}}))
}
