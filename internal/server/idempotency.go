package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/once"
)

// Once remembers requests that must happen once; *store.Store does.
type Once interface {
	// BeginOnce claims a request, or returns the reply that it had before and no
	// claim. Errors are once.ErrRunning, once.ErrReused, or the store's.
	BeginOnce(ctx context.Context, r once.Request) (once.Claim, *once.Reply, error)
}

// idempotencyKey is the key that a request brings, empty for none.
func idempotencyKey(h http.Header) (string, error) {
	sent := h[once.Header]
	if len(sent) == 0 {
		return "", nil
	}
	if len(sent) > 1 {
		return "", invalid(api.Fault{Detail: "header Idempotency-Key: given more than once"})
	}
	return sent[0], once.CheckKey(sent[0])
}

// claim claims a valid grade request that brings an idempotency key. Both
// results are nil for one that brings none.
func (s *Server) claim(c *gin.Context, req *api.GradeRequest) (once.Claim, *once.Reply, error) {
	key, err := idempotencyKey(c.Request.Header)
	if key == "" || err != nil {
		return nil, nil, err
	}
	if s.cfg.Once == nil {
		return nil, nil, fail(api.StoreUnavailable, "This service cannot remember requests.")
	}
	// What was understood, not how it was written: a client that repeats a
	// request may put its members in another order.
	body, err := json.Marshal(req)
	if err != nil {
		return nil, nil, fmt.Errorf("fingerprint request: %w", err)
	}
	print := once.New(fmt.Sprint(wantsFresh(c.Request.Header)))
	print.Write(body)
	return s.cfg.Once.BeginOnce(c.Request.Context(), once.Request{
		Tenant: exchangeOf(c).tenant, Route: c.Request.Method + " " + c.FullPath(), Key: key, Fingerprint: once.Sum(print),
	})
}

// replay answers with what the same request was answered before.
func (s *Server) replay(c *gin.Context, reply *once.Reply) {
	h := c.Writer.Header()
	h["Idempotency-Replayed"] = []string{"true"}
	if wantsEvents(c.Request.Header) {
		_ = s.streamOf(c.Request.Context(), c).event(api.EventGrade, reply.Body) // who has gone can ask again
		return
	}
	h["X-Cache"] = []string{reply.Cache}
	h["Cache-Control"] = noStore
	write(c, http.StatusOK, "application/json", reply.Body)
}

// persist is a context for work that goes on although its client has gone,
// because another try will ask for the outcome. It ends when the server does.
func (s *Server) persist(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(s.base, cancel)
	return ctx, func() { stop(); cancel() }
}

// remember keeps the reply to a claimed request. That it could not be kept is
// logged by the store and no reason to withhold the grade.
func (s *Server) remember(ctx context.Context, claim once.Claim, tenant string, record *grading.Record, reply once.Reply) {
	grade, err := record.Grade()
	if err != nil {
		return
	}
	if grade.ID != nil {
		reply.Subject = *grade.ID
	}
	if claim.Keep(ctx, reply) != nil || reply.Subject == "" {
		return
	}
	// Whoever forgot the grade in the meantime forgot this reply too.
	if _, err := s.cfg.Grader.Find(ctx, grading.Key{Tenant: tenant, ID: reply.Subject}); errors.Is(err, grading.ErrNotFound) {
		_ = claim.Drop(ctx) // logged by the store; the reply expires
	}
}
