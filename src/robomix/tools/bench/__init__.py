"""How many loader workers keep the accelerator fed, where reading takes its time, and what to do about it."""
