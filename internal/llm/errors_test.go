package llm_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/llm"
)

// Every status there is has one meaning; the exceptions are all listed.
func TestEveryStatusIsClassified(t *testing.T) {
	t.Parallel()
	kinds := map[int]string{
		401: "dead_key", 403: "dead_key", 407: "dead_key",
		402: "quota",
		408: "unavailable", 409: "unavailable", 425: "unavailable",
		413: "too_long",
		429: "rate_limit",
	}
	retryable := []string{"unavailable", "rate_limit"}
	for status := 100; status <= 599; status++ {
		if status >= 200 && status < 300 {
			continue // an answer
		}
		want, listed := kinds[status]
		switch {
		case listed:
		case status >= 500:
			want = "unavailable"
		default:
			want = "rejected"
		}
		err := fmt.Errorf("ask the model: %w", llm.Failure{Status: status}.Err())
		require.Equal(t, want, llm.Kind(err), "status %d", status)
		require.Equal(t, slices.Contains(retryable, want), llm.Retryable(err), "status %d", status)
	}
}

func TestCodesSayMoreThanTheirStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		code   string
		want   error
	}{
		{429, "insufficient_quota", llm.ErrQuota},
		{403, "billing_not_active", llm.ErrQuota},
		{400, "context_length_exceeded", llm.ErrTooLong},
		{400, "invalid_api_key", llm.ErrRejected},
	} {
		err := llm.Failure{Status: c.status, Code: c.code}.Err()
		require.ErrorIs(t, err, c.want, "%d %s", c.status, c.code)
		require.False(t, llm.Retryable(err), "%d %s", c.status, c.code)
	}
	// A code of the request's kind on an outage is still an outage.
	require.True(t, llm.Retryable(llm.Failure{Status: 503, Code: "insufficient_quota"}.Err()))
}

func TestWhatMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		err   error
		retry bool
		kind  string
	}{
		{"nothing", nil, false, ""},
		{"attempt timed out", llm.ErrTimeout, true, "timeout"},
		{"caller's deadline", context.DeadlineExceeded, false, "deadline"},
		{"caller left", fmt.Errorf("ask: %w", context.Canceled), false, "cancelled"},
		{"breaker open on an outage", &llm.OpenError{Cause: &llm.UnavailableError{Status: 503}}, true, "open"},
		{"breaker open on a dead key", &llm.OpenError{Cause: llm.ErrUnauthorized}, false, "open"},
		{"budget spent", fmt.Errorf("%w: %w", llm.ErrBudget, &llm.UnavailableError{}), true, "unavailable"},
		{"somebody else's", errors.New("?"), false, "other"},
	} {
		require.Equal(t, c.retry, llm.Retryable(c.err), c.name)
		require.Equal(t, c.kind, llm.Kind(c.err), c.name)
	}
	require.NotErrorIs(t, llm.ErrTimeout, context.DeadlineExceeded, "an attempt's timeout is not the caller's deadline")
}

func TestRetryAfterIsReadThroughWrapping(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want time.Duration
		said bool
	}{
		{&llm.RateLimitError{RetryAfter: 7 * time.Second}, 7 * time.Second, true},
		{&llm.RateLimitError{}, 0, false},
		{&llm.UnavailableError{RetryAfter: time.Second}, time.Second, true},
		{&llm.OpenError{RetryAfter: 3 * time.Second, Cause: &llm.UnavailableError{RetryAfter: time.Hour}}, 3 * time.Second, true},
		{llm.ErrTimeout, 0, false},
	} {
		got, said := llm.RetryAfter(fmt.Errorf("grade: %w", c.err))
		require.Equal(t, c.want, got, "%v", c.err)
		require.Equal(t, c.said, said, "%v", c.err)
	}
}

// Whatever an endpoint writes into its codes and ids, no error repeats prose.
func TestErrorsNeverRepeatText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := llm.Failure{
			Status:    rapid.IntRange(300, 599).Draw(t, "status"),
			Code:      rapid.String().Draw(t, "word") + " <b>secret answer</b>",
			RequestID: rapid.String().Draw(t, "id") + "\nsecret answer",
		}
		require.NotContains(t, f.Err().Error(), "secret")
		require.LessOrEqual(t, len(f.Err().Error()), 200)
	})
	err := llm.Failure{Status: 503, Code: "overloaded_error", RequestID: "req_1f", RetryAfter: 2 * time.Second}.Err()
	require.Equal(t, "model is unavailable (status 503, code overloaded_error, request req_1f, retry after 2s)", err.Error())
}
