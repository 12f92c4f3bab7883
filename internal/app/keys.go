package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/store"
)

// limits hold keys to what they may use, all processes on the same Redis
// together.
func (a *App) limits() *access.Limiter {
	var shared access.Quotas
	if a.cfg.RedisURL != "" {
		shared = a.store
	}
	return access.NewLimiter(access.Limits{Rate: a.cfg.KeyRate, InFlight: a.cfg.KeyInFlight, DailyTokens: a.cfg.KeyDailyTokens}, shared, time.Now)
}

// maxInFlight is how many answers are graded at once for everyone. A lexical
// grade takes a processor for less than a millisecond, so 128 a processor wait
// about a tenth of a second for their turn. A grade that waits for a model costs
// nearly nothing; eight for each call that may be in flight are answered within
// the time for a grade, and more would only wait to be told that it is over.
func (a *App) maxInFlight() int {
	if a.cfg.MaxInFlight > 0 {
		return a.cfg.MaxInFlight
	}
	return max(256, 128*runtime.GOMAXPROCS(0), 8*a.cfg.Concurrency)
}

// OpenKeys opens the store for a command that looks after API keys. The caller
// closes it.
func OpenKeys(ctx context.Context, cfg *config.Config, log *slog.Logger) (*store.Store, error) {
	if cfg.RedisURL == "" {
		return nil, fmt.Errorf("%w: keys are stored in Redis: set REDIS_URL to the one of the service; a service without Redis takes its keys from GRADUS_API_KEYS", ErrSetting)
	}
	opened, err := store.Open(ctx, store.Config{URL: cfg.RedisURL.Reveal(), Logger: log})
	if errors.Is(err, store.ErrURL) {
		return nil, fmt.Errorf("%w: %w", ErrSetting, err)
	}
	return opened, err
}

// keys makes the ring of keys that open the door, and looks whether any are
// stored. A service that other machines reach does not start without knowing
// that it wants a key; one on loopback does, and wants a key as soon as one is
// found.
func (a *App) keys(ctx context.Context) (*access.Ring, error) {
	cfg := access.RingConfig{Required: a.cfg.RequireKeys, Locked: func() {
		a.log.Info("there are API keys in Redis: every request needs one from now on")
	}}
	for i, text := range a.cfg.APIKeys {
		key, err := access.ParseConfigured(text.Reveal())
		if err != nil {
			return nil, fmt.Errorf("%w: GRADUS_API_KEYS: key %d: %w", ErrSetting, i+1, err)
		}
		cfg.Configured = append(cfg.Configured, key)
	}
	if a.cfg.RedisURL != "" {
		cfg.Store = a.store
	}
	ring := access.NewRing(cfg)
	err := ring.Ask(ctx)
	if !a.cfg.Exposed() || ring.Guarded() {
		if err != nil {
			a.log.Warn("open until Redis can say whether there are API keys; --require-keys wants one all the same", "error", err)
		}
		return ring, nil
	}
	const remedy = "set GRADUS_REQUIRE_KEYS to want one all the same, or --insecure-open if something in front guards the service"
	if err != nil {
		return nil, fmt.Errorf("%w: %s is reachable from other machines and Redis cannot say whether there are API keys: %s", ErrSetting, a.cfg.Listen(), remedy)
	}
	return nil, fmt.Errorf("%w: %s is reachable from other machines and there are no API keys: make one with gradus keys create, set GRADUS_API_KEYS, or %s", ErrSetting, a.cfg.Listen(), remedy)
}
