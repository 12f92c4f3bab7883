package llm_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gradus-ai/gradus/internal/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// model is a Completer whose behaviour is a function of the call's number,
// from 1.
type model struct {
	name string
	do   func(ctx context.Context, n int) (*llm.Reply, error)

	mu       sync.Mutex
	calls    int
	inFlight int
	most     int
	at       []time.Time
}

func (m *model) Models() []string { return []string{m.name} }

func (m *model) Complete(ctx context.Context, _ llm.Request) (*llm.Reply, error) {
	m.mu.Lock()
	m.calls++
	n := m.calls
	m.inFlight++
	m.most = max(m.most, m.inFlight)
	m.at = append(m.at, time.Now())
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.inFlight--
		m.mu.Unlock()
	}()
	return m.do(ctx, n)
}

// says fails with these errors in turn and then answers; a nil error answers.
func says(errs ...error) *model {
	return &model{name: "m", do: func(_ context.Context, n int) (*llm.Reply, error) {
		if n <= len(errs) && errs[n-1] != nil {
			return nil, errs[n-1]
		}
		return &llm.Reply{Text: "ok", Model: "m"}, nil
	}}
}

// takes answers after d, or fails with the context.
func takes(d time.Duration) *model {
	return &model{name: "m", do: func(ctx context.Context, _ int) (*llm.Reply, error) {
		return answerAfter(ctx, d)
	}}
}

func answerAfter(ctx context.Context, d time.Duration) (*llm.Reply, error) {
	select {
	case <-time.After(d):
		return &llm.Reply{Text: "ok", Model: "m"}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func down() error { return &llm.UnavailableError{Status: 503} }

func limited(after time.Duration) error { return &llm.RateLimitError{RetryAfter: after} }

// elapse lets the clock of a synctest bubble run.
func elapse(d time.Duration) { <-time.After(d) }
