package llm

import (
	"context"
	"time"
)

// Meter tells an Observer of every attempt. It goes right around the adapter,
// so that an attempt is one request and its time the endpoint's.
type Meter struct {
	next     Completer
	observer Observer
}

// NewMeter wraps next.
func NewMeter(next Completer, observer Observer) *Meter {
	return &Meter{next: next, observer: observer}
}

// Models returns the models of the completer underneath.
func (m *Meter) Models() []string { return m.next.Models() }

// Complete asks once and tells.
func (m *Meter) Complete(ctx context.Context, req Request) (*Reply, error) {
	began := time.Now()
	reply, err := m.next.Complete(ctx, req)
	a := Attempt{Model: nameOf(m.next), Took: time.Since(began), Kind: Kind(err)}
	if reply != nil {
		a.Refused, a.Truncated, a.Usage = reply.Refused, reply.Truncated, reply.Usage
	}
	m.observer.attempt(a)
	return reply, err
}
