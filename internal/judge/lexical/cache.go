package lexical

import (
	"sync"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// keptQuestions is how many compiled questions a judge keeps.
const keptQuestions = 256

// questionCache keeps compiled questions by digest, the latest used ones. A
// question is compiled once however many ask for it at the same time.
type questionCache struct {
	mu      sync.Mutex
	limit   int
	clock   uint64
	entries map[string]*cachedQuestion
}

type cachedQuestion struct {
	used     uint64
	compiled func() *compiled
}

func newQuestionCache(limit int) *questionCache {
	return &questionCache{limit: limit, entries: map[string]*cachedQuestion{}}
}

func (c *questionCache) get(q *rubric.Question) *compiled {
	key := q.Digest()
	c.mu.Lock()
	e := c.entries[key]
	if e == nil {
		if len(c.entries) >= c.limit {
			c.evict()
		}
		e = &cachedQuestion{compiled: sync.OnceValue(func() *compiled { return compile(q) })}
		c.entries[key] = e
	}
	c.clock++
	e.used = c.clock
	c.mu.Unlock()
	return e.compiled()
}

// evict forgets the question that was not used for longest.
func (c *questionCache) evict() {
	oldest := ""
	for key, e := range c.entries {
		if oldest == "" || e.used < c.entries[oldest].used {
			oldest = key
		}
	}
	delete(c.entries, oldest)
}
