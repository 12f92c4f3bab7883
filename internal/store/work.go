package store

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// workBudget shapes the connection of the queue: nobody waits for it, so that a
// slow Redis is waited for.
const workBudget = 2 * time.Second

// WorkClient is another connection to the Redis that must not lose anything, for
// a queue. The caller closes it. It is nil in a store without a Redis.
func (s *Store) WorkClient() (redis.UniversalClient, error) {
	switch {
	case s.embedded != nil:
		return s.embedded.client(workBudget), nil
	case s.main == nil:
		return nil, nil
	}
	c, err := dial(s.cfg.URL, workBudget)
	if err != nil {
		return nil, err
	}
	return c, nil
}
