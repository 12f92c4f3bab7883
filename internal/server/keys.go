package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
)

// nobody is who asks where no key is needed.
var nobody = &access.Key{Tenant: access.TenantOpen, Scopes: access.AllScopes}

// guarded reports whether a key is needed.
func (s *Server) guarded() bool { return s.cfg.Keys != nil && s.cfg.Keys.Guarded() }

// identify says whose request this is.
func (s *Server) identify(c *gin.Context) (*access.Key, error) {
	if !s.guarded() {
		return nobody, nil
	}
	clear, given := s.credential(c.Request)
	if !given {
		return nil, fail(api.KeyNeeded, "The Authorization header has no bearer key.")
	}
	key, err := s.cfg.Keys.Find(c.Request.Context(), clear)
	if err != nil {
		return nil, unidentified(err)
	}
	return key, nil
}

// unidentified is the problem of a key that opens nothing.
func unidentified(err error) error {
	switch {
	case errors.Is(err, access.ErrUnknown):
		return fail(api.KeyNeeded, "The key is not valid.")
	case errors.Is(err, access.ErrExpired):
		return fail(api.KeyNeeded, "The key has expired.")
	case errors.Is(err, access.ErrRevoked):
		return fail(api.KeyNeeded, "The key has been revoked.")
	case errors.Is(err, context.Canceled):
		return err
	default:
		return fail(api.KeysUnavailable, "Whether the key is valid cannot be found out right now.")
	}
}

// scope is what a key must be allowed for an endpoint: what the endpoint names,
// else read to look and grade to do.
func (ep *endpoint) scope() access.Scope {
	switch {
	case ep.needs != "":
		return ep.needs
	case ep.method == http.MethodGet:
		return access.Read
	default:
		return access.Grade
	}
}

// bearer is the key in an Authorization header. The scheme is case-insensitive
// (RFC 9110, section 11.1).
func bearer(authorization string) (string, bool) {
	const scheme = "Bearer "
	if len(authorization) <= len(scheme) || !strings.EqualFold(authorization[:len(scheme)], scheme) {
		return "", false
	}
	return strings.TrimSpace(authorization[len(scheme):]), true
}
