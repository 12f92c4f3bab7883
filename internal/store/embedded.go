package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// embedded is a Redis inside this process. It listens on loopback with a random
// password, so that other users of the machine cannot read from it.
//
// It is reached over TCP: the in-memory connection that miniredis offers has no
// buffer and blocks on a pipeline of a few kilobytes.
type embedded struct {
	server   *miniredis.Miniredis
	password string
	once     sync.Once
}

// agePeriod is how often keys age, and so how exact their expiry is. miniredis
// can age keys by the clock on every command instead, but then looks at every
// key each time.
const agePeriod = 250 * time.Millisecond

func startEmbedded() (*embedded, error) {
	e := &embedded{server: miniredis.NewMiniRedis(), password: rand.Text()}
	e.server.RequireAuth(e.password)
	if err := e.server.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start embedded Redis: %w", err)
	}
	return e, nil
}

// age moves the server's time by what has passed since the last tick, which
// after a suspended laptop is much more than the period.
func (e *embedded) age(ctx context.Context) {
	ticker := time.NewTicker(agePeriod)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			// Round strips the monotonic clock, which stops while suspended.
			now := time.Now()
			if passed := now.Round(0).Sub(last.Round(0)); passed > 0 {
				e.server.FastForward(passed)
			}
			last = now
		}
	}
}

func (e *embedded) client(budget time.Duration) *redis.Client {
	return redis.NewClient(tuned(&redis.Options{Addr: e.server.Addr(), Password: e.password}, budget))
}

func (e *embedded) close() { e.once.Do(e.server.Close) }
