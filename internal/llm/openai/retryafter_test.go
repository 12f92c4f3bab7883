package openai

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Retry-After in every spelling in use.
func TestRetryAfterSpellings(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		headers string
		want    time.Duration
	}{
		{"seconds", "Retry-After: 7", 7 * time.Second},
		{"a fraction", "Retry-After: 1.5", 1500 * time.Millisecond},
		{"spaces", "Retry-After:   2  ", 2 * time.Second},
		{"a date", "Retry-After: Thu, 05 Nov 2026 12:00:30 GMT", 30 * time.Second},
		{"a date by the endpoint's clock", "Date: Thu, 05 Nov 2026 11:00:00 GMT|Retry-After: Thu, 05 Nov 2026 11:00:05 GMT", 5 * time.Second},
		{"a date gone by", "Retry-After: Thu, 05 Nov 2026 11:59:00 GMT", 0},
		{"milliseconds", "Retry-After-Ms: 250", 250 * time.Millisecond},
		{"milliseconds are finer than seconds", "Retry-After: 1|Retry-After-Ms: 20", 20 * time.Millisecond},
		{"the window of requests", "X-Ratelimit-Reset-Requests: 1s|X-Ratelimit-Reset-Tokens: 6m0s|X-Ratelimit-Remaining-Requests: 0|X-Ratelimit-Remaining-Tokens: 500", time.Second},
		{"both windows are spent", "X-Ratelimit-Reset-Requests: 20ms|X-Ratelimit-Reset-Tokens: 6m0s|X-Ratelimit-Remaining-Requests: 0|X-Ratelimit-Remaining-Tokens: 0", 6 * time.Minute},
		{"neither says it is spent", "X-Ratelimit-Reset-Requests: 2s|X-Ratelimit-Reset-Tokens: 1.5", 2 * time.Second},
		{"Retry-After outweighs the windows", "Retry-After: 3|X-Ratelimit-Reset-Tokens: 6m0s", 3 * time.Second},
		{"garbage falls back on the windows", "Retry-After: soon|X-Ratelimit-Reset-Tokens: 4s", 4 * time.Second},
		{"capped", "Retry-After: 86400", maxRetryAfter},
		{"a huge number", "Retry-After: " + strings.Repeat("9", 400), 0},
		{"a far date", "Retry-After: Thu, 05 Nov 2099 12:00:00 GMT", maxRetryAfter},
		{"nothing", "", 0},
		{"garbage", "Retry-After: soon", 0},
		{"negative", "Retry-After: -5", 0},
		{"zero", "Retry-After: 0", 0},
		{"infinite", "Retry-After: Inf", 0},
		{"not a number", "Retry-After: NaN", 0},
		{"hexadecimal", "Retry-After: 0x10", 0},
		{"two dots", "Retry-After: 1.2.3", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			for line := range strings.SplitSeq(c.headers, "|") {
				if name, value, ok := strings.Cut(line, ":"); ok {
					h.Set(name, value[1:])
				}
			}
			require.Equal(t, c.want, retryAfter(h, now))
		})
	}
}

// Whatever the headers hold, the wait is between nothing and the cap.
func FuzzRetryAfter(f *testing.F) {
	f.Add("7", "", "1s", "0")
	f.Add("Thu, 05 Nov 2026 12:00:30 GMT", "1e9", "-1h", "x")
	f.Fuzz(func(t *testing.T, after, ms, reset, remaining string) {
		h := http.Header{}
		h["Retry-After"], h["Retry-After-Ms"] = []string{after}, []string{ms}
		h["X-Ratelimit-Reset-Requests"], h["X-Ratelimit-Remaining-Requests"] = []string{reset}, []string{remaining}
		wait := retryAfter(h, time.Unix(1_800_000_000, 0))
		if wait < 0 || wait > maxRetryAfter {
			t.Fatalf("wait %s", wait)
		}
	})
}

// A shape never gets richer, whichever order lessons arrive in.
func TestLessonsMergeInAnyOrder(t *testing.T) {
	t.Parallel()
	draw := rapid.Custom(func(t *rapid.T) shape {
		b := func(name string) bool { return rapid.Bool().Draw(t, name) }
		return shape{format(rapid.IntRange(0, 2).Draw(t, "format")), b("system"), b("sampling"), b("effort"), b("other"), b("none"), b("stream")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := draw.Draw(t, "a"), draw.Draw(t, "b"), draw.Draw(t, "c")
		if a.merge(b) != b.merge(a) || a.merge(b).merge(c) != a.merge(b.merge(c)) || a.merge(a) != a {
			t.Fatal("merging depends on order")
		}
	})
}
