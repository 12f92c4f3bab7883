package store

// Live reports whether the memory cache is believed without asking.
func (s *Store) Live() bool { return s.live.Load() }
