package server

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/judge"
)

// meter counts a request against the rate of its key, and says in headers what
// is left (draft-ietf-httpapi-ratelimit-headers-11).
func (s *Server) meter(c *gin.Context, key *access.Key) error {
	if s.cfg.Limits == nil || key == nobody {
		return nil
	}
	standing, err := s.cfg.Limits.Take(c.Request.Context(), key)
	if standing.Limit > 0 {
		h := c.Writer.Header()
		h["Ratelimit-Policy"] = s.policy(standing.Limit)
		var buf [64]byte
		line := append(buf[:0], `"default";r=`...)
		line = strconv.AppendInt(line, int64(standing.Left), 10)
		line = append(line, ";t="...)
		line = strconv.AppendInt(line, int64(seconds(standing.Resets)), 10)
		h["Ratelimit"] = []string{string(line)}
	}
	return exceeded(err)
}

// policy is the header of a rate. There are as many as rates that keys have, and
// nobody changes them.
func (s *Server) policy(limit int) []string {
	known, ok := s.policies.Load(limit)
	if !ok {
		known, _ = s.policies.LoadOrStore(limit, []string{`"default";q=` + strconv.Itoa(limit) + `;w=60`})
	}
	return known.([]string)
}

// occupy takes one of the key's slots in flight, before the body is read: who
// sends slowly uses up what is its own. vacate gives it back.
func (s *Server) occupy(c *gin.Context) error {
	key := exchangeOf(c).key
	if s.cfg.Limits == nil || key == nobody {
		return nil
	}
	return exceeded(s.cfg.Limits.Enter(c.Request.Context(), key))
}

func (s *Server) vacate(c *gin.Context) {
	if key := exchangeOf(c).key; s.cfg.Limits != nil && key != nobody {
		s.cfg.Limits.Leave(key)
	}
}

// begin takes one of the service's slots, once a request is there as a whole:
// whoever sends slowly keeps nobody else from being graded. end gives it back.
func (s *Server) begin() error {
	if n := s.inFlight.Add(1); s.cfg.MaxInFlight > 0 && n > int64(s.cfg.MaxInFlight) {
		s.end()
		f := fail(api.Overloaded, "Too many answers are being graded at once.")
		f.after = time.Second
		return f
	}
	return nil
}

func (s *Server) end() { s.inFlight.Add(-1) }

// spent charges a key for what a request used.
func (s *Server) spent(key *access.Key, usage judge.Usage) {
	if s.cfg.Limits != nil && key != nobody {
		s.cfg.Limits.Spent(key, int64(usage.PromptTokens)+int64(usage.CompletionTokens))
	}
}

// exceeded is the problem of a limit that is reached.
func exceeded(err error) error {
	var limit *access.LimitError
	if err == nil || !errors.As(err, &limit) {
		return err
	}
	var f *failure
	switch {
	case errors.Is(err, access.ErrRate):
		f = fail(api.RateLimited, "The key has used up its requests of this minute.")
	case errors.Is(err, access.ErrInFlight):
		f = fail(api.TooManyInFlight, "The key has too many answers being graded at once.")
	default:
		f = fail(api.TokenBudgetSpent, "The key has spent its tokens of today.")
	}
	f.after = limit.RetryAfter
	return f
}

// seconds is a wait as headers say it: whole, and never too short.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
