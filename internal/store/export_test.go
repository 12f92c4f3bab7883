package store

import "github.com/gradus-ai/gradus/internal/grading"

// Live reports whether the memory cache is believed without asking.
func (s *Store) Live() bool { return s.live.Load() }

// Waiters counts the callers that wait for a grade to be fetched.
func (s *Store) Waiters(key grading.Key) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[flightKey{key, fetching}]; f != nil {
		return f.waiters
	}
	return 0
}
