package llm

// StackConfig shapes a Stack. The zero value of a field is its default.
type StackConfig struct {
	// MaxConcurrency is the most calls in flight to each model. Default 16.
	MaxConcurrency int
	// Retry and Breaker shape those layers; their Observer is the one below.
	// All models share the retry budget.
	Retry   RetryConfig
	Breaker BreakerConfig
	// Observer hears of everything.
	Observer Observer
}

// Stack puts every layer around the models, the first choice first:
//
//	Fallback( for each model: Retry( Limit( Breaker( Meter( model )))))
//
// A call that waits to be retried holds no slot; a call in line for a slot
// learns of an open breaker as soon as it has one; an attempt that is metered
// is one request.
func Stack(models []Completer, cfg StackConfig) Completer {
	cfg.Retry.Observer, cfg.Breaker.Observer = cfg.Observer, cfg.Observer
	if cfg.Retry.Budget == nil {
		cfg.Retry.Budget = NewBudget(0.2, 10)
	}
	layered := make([]Completer, len(models))
	for i, model := range models {
		model = NewMeter(model, cfg.Observer)
		model = NewBreaker(model, cfg.Breaker)
		model = NewLimit(model, LimitConfig{Max: cfg.MaxConcurrency, Observer: cfg.Observer})
		layered[i] = NewRetry(model, cfg.Retry)
	}
	if len(layered) == 1 {
		return layered[0]
	}
	return NewFallback(cfg.Observer, layered...)
}
