update a set b = 0;
