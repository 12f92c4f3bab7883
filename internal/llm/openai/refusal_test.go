package openai

import (
	"errors"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/gradus-ai/gradus/internal/llm"
)

// Whatever an endpoint sends with a failure, the error is one of package llm,
// and its text is a short line of words, numbers and ids.
func FuzzRefusal(f *testing.F) {
	for _, body := range []string{
		"", "null", "[]", "[{}]", `{"error":null}`, `{"error":{"message":["a","b"],"code":7}}`, `{"error":"x"}`, `{"detail":"x"}`,
		`{"detail":[{"loc":["body","temperature",1],"msg":"no"}]}`, `{"message":"too many tokens","code":"context_length_exceeded"}`,
		"<html>", "plain words", `{"error":{"code":"<script>"}}`,
	} {
		f.Add(400, body, "req_1")
	}
	f.Add(200, `{"error":{"code":"503"}}`, "")
	line := regexp.MustCompile(`^[\w .,:()'\-]{1,300}$`)
	f.Fuzz(func(t *testing.T, status int, body, id string) {
		if status < 200 || status > 599 {
			return
		}
		r := parseRefusal(status, http.Header{"X-Request-Id": {id}}, []byte(body), time.Unix(1_800_000_000, 0))
		err := r.err()
		var refused *llm.RefusedError
		var limited *llm.RateLimitError
		var unavailable *llm.UnavailableError
		if !errors.As(err, &refused) && !errors.As(err, &limited) && !errors.As(err, &unavailable) {
			t.Fatalf("%T", err)
		}
		if !line.MatchString(err.Error()) {
			t.Fatalf("%q", err)
		}
		if llm.Retryable(err) == errors.As(err, &refused) {
			t.Fatalf("retryable %v", err)
		}
	})
}
