package chaos_test

func removePrograms() {}
