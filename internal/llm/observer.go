package llm

import "time"

// Observer hears what becomes of calls, for metrics and logs. A nil function
// is not called. The functions are called on the caller's goroutine, also
// concurrently, and must be quick. They never see a word that was sent or
// received.
type Observer struct {
	// Attempt is called after every attempt at a model.
	Attempt func(Attempt)
	// Waiting is called before the pause that precedes another attempt.
	Waiting func(Waiting)
	// Breaker is called when a model stops (open) or starts to be asked again.
	Breaker func(model string, open bool)
	// Slots is called when the number of calls that a model may have in flight
	// changes.
	Slots func(model string, slots int)
	// Fallback is called when the next model is asked instead; why is a Kind,
	// or "refused".
	Fallback func(from, to, why string)
}

// Attempt is one attempt at a model.
type Attempt struct {
	Model     string // as configured
	Took      time.Duration
	Kind      string // of its error; empty when there is a reply
	Refused   bool
	Truncated bool
	Usage     Usage
}

// Waiting is the pause before another attempt.
type Waiting struct {
	Model string
	Retry int // 1 for the first
	Kind  string
	Wait  time.Duration
}

func (o Observer) attempt(a Attempt) {
	if o.Attempt != nil {
		o.Attempt(a)
	}
}

func (o Observer) waiting(w Waiting) {
	if o.Waiting != nil {
		o.Waiting(w)
	}
}

func (o Observer) breaker(model string, open bool) {
	if o.Breaker != nil {
		o.Breaker(model, open)
	}
}

func (o Observer) slots(model string, n int) {
	if o.Slots != nil {
		o.Slots(model, n)
	}
}

func (o Observer) fallback(from, to, why string) {
	if o.Fallback != nil {
		o.Fallback(from, to, why)
	}
}

// nameOf is the model that a completer asks first.
func nameOf(c Completer) string {
	if models := c.Models(); len(models) > 0 {
		return models[0]
	}
	return ""
}
