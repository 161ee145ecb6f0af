drop index c_d;
