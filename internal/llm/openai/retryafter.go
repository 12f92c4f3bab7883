package openai

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter caps what an endpoint may ask for: a limit that resets in a
// day is asked about again before.
const maxRetryAfter = 10 * time.Minute

// retryAfter reads how long an endpoint asks to be left alone, in all the ways
// they say it:
//
//	Retry-After-Ms: 1500                     milliseconds
//	Retry-After: 7 | 1.5 | an HTTP date      RFC 9110 section 10.2.3, and fractions
//	X-RateLimit-Reset-Requests: 1s | 6m0s    with X-RateLimit-Remaining-Requests: 0
//	X-RateLimit-Reset-Tokens: 20ms           likewise
//
// 0 means that nothing usable was said: garbage, negative numbers and dates
// gone by are ignored. The result is never over maxRetryAfter.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, ok := number(h.Get("Retry-After-Ms")); ok {
		return capped(ms, time.Millisecond)
	}
	said := h.Get("Retry-After")
	if s, ok := number(said); ok {
		return capped(s, time.Second)
	}
	if date, err := http.ParseTime(said); err == nil {
		// Against the endpoint's own clock where it shows it.
		if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
			now = theirs
		}
		if wait := date.Sub(now); wait > 0 {
			return min(wait, maxRetryAfter)
		}
		return 0
	}
	// A window is waited for when it is used up; where none says so, the later
	// one is.
	var spent, any time.Duration
	for _, what := range []string{"Requests", "Tokens"} {
		reset := duration(h.Get("X-Ratelimit-Reset-" + what))
		any = max(any, reset)
		if h.Get("X-Ratelimit-Remaining-"+what) == "0" {
			spent = max(spent, reset)
		}
	}
	if spent > 0 {
		return spent
	}
	return any
}

// number reads a positive, finite number.
func number(s string) (float64, bool) {
	// ParseFloat would also take "Inf", "NaN", hexadecimals and underscores.
	s = strings.TrimSpace(s)
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && f > 0
}

// duration reads "1s", "6m0s", "20ms" or plain seconds; 0 when it is neither.
func duration(s string) time.Duration {
	if n, ok := number(s); ok {
		return capped(n, time.Second)
	}
	d, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil || d <= 0 {
		return 0
	}
	return min(d, maxRetryAfter)
}

func capped(n float64, unit time.Duration) time.Duration {
	if n >= float64(maxRetryAfter/unit) {
		return maxRetryAfter
	}
	return time.Duration(n * float64(unit))
}
