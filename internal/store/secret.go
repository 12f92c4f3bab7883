package store

import (
	"context"
	"crypto/rand"
	"fmt"
)

const secretBytes = 32

// Secret returns 32 random bytes that all processes on the same Redis share:
// made by the first to ask and kept for good. An embedded store makes them up
// anew. Errors wrap ErrUnavailable.
func (s *Store) Secret(ctx context.Context) ([]byte, error) {
	proposal := make([]byte, secretBytes)
	_, _ = rand.Read(proposal) // never fails
	if s.main == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.secret == nil {
			s.secret = proposal
		}
		return s.secret, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name := s.keys.secret()
	// A script would be one command, but a lost reply does no harm here: the
	// second command reads whatever the first left.
	pipe := s.main.Pipeline()
	pipe.SetNX(ctx, name, proposal, 0)
	kept := pipe.Get(ctx, name)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read secret: %w: %w", ErrUnavailable, err)
	}
	secret, err := kept.Bytes()
	if err != nil {
		return nil, fmt.Errorf("read secret: %w: %w", ErrUnavailable, err)
	}
	if len(secret) < secretBytes {
		return nil, fmt.Errorf("read secret: %w: %s holds %d bytes, want %d", ErrUnavailable, name, len(secret), secretBytes)
	}
	return secret, nil
}
