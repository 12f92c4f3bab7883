package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/store"
)

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
	cfg := access.RingConfig{Required: a.cfg.RequireKeys}
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
		return ring, nil // a store that does not answer is said in /readyz
	}
	const remedy = "set GRADUS_REQUIRE_KEYS to want one all the same, or --insecure-open if something in front guards the service"
	if err != nil {
		return nil, fmt.Errorf("%w: %s is reachable from other machines and Redis cannot say whether there are API keys: %s", ErrSetting, a.cfg.Listen(), remedy)
	}
	return nil, fmt.Errorf("%w: %s is reachable from other machines and there are no API keys: make one with gradus keys create, set GRADUS_API_KEYS, or %s", ErrSetting, a.cfg.Listen(), remedy)
}
